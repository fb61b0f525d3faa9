//! A gateway: what it was told, what it holds, what it has sent.

use crate::database::WriteId;
use protocol::{
    Epoch, GatewayId, Generation, Side,
    routing::{ExtractionRouting, Writes},
};
use uuid::Uuid;

#[derive(Debug)]
pub struct Gateway {
    pub id: GatewayId,
    /// The turn of the conductor that it heard last, and what that one said.
    pub turn: Generation,
    pub routing: Option<ExtractionRouting>,
    pub held: Vec<WriteId>,
    pub in_flight: Vec<(WriteId, Side)>,
}

/// Where a write goes.
pub enum Route {
    Send(Side),
    Held,
    Refused,
}

impl Gateway {
    pub fn new(number: u128) -> Self {
        let id = GatewayId(Uuid::from_u128(0x6000 + number));
        Self {
            id,
            turn: Generation(0),
            routing: None,
            held: Vec::new(),
            in_flight: Vec::new(),
        }
    }

    /// Takes a routing unless it is older: by the conductor's turn, then by
    /// epoch. A later conductor may know a lower epoch, where the journal was
    /// lost before the rows had heard of the hand-over. Released writes are
    /// returned.
    pub fn take(&mut self, turn: Generation, routing: ExtractionRouting) -> Vec<WriteId> {
        let older = self
            .routing
            .is_some_and(|known| known.epoch > routing.epoch);
        if turn < self.turn || (turn == self.turn && older) {
            return Vec::new();
        }
        self.turn = turn;
        self.routing = Some(routing);
        match routing.writes {
            Writes::To(_) => std::mem::take(&mut self.held),
            Writes::Hold { .. } | Writes::Refuse | Writes::Split(_) => Vec::new(),
        }
    }

    pub fn route(&mut self, id: WriteId) -> Route {
        match self.routing.map(|routing| routing.writes) {
            Some(Writes::To(side)) => Route::Send(side),
            Some(Writes::Hold { .. }) => {
                self.held.push(id);
                Route::Held
            }
            Some(Writes::Refuse | Writes::Split(_)) | None => Route::Refused,
        }
    }

    /// Whether it holds at this epoch and nothing sent before is on its way.
    pub fn drained(&self, epoch: Epoch) -> bool {
        self.in_flight.is_empty()
            && self.routing.is_some_and(|routing| {
                routing.epoch == epoch && matches!(routing.writes, Writes::Hold { .. })
            })
    }
}
