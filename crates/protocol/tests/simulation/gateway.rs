//! A gateway: what it was told, what it holds, and whom it hears.

use crate::database::WriteId;
use protocol::{
    Epoch, GatewayId, InstanceId, Side,
    routing::{ExtractionRouting, Writes},
};
use uuid::Uuid;

/// A routing with its place among all that are told: by the conductors' turns at being
/// in charge, then by the order in which one conductor told them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Announcement {
    pub turn: u16,
    pub number: u16,
    pub routing: ExtractionRouting,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Gateway {
    pub id: GatewayId,
    pub known: Option<Announcement>,
    /// Whether what is known is still to be acted on.
    pub has_lease: bool,
    pub held: Vec<WriteId>,
    /// Which conductors it does not hear, nor they it.
    pub cut: [bool; 2],
}

/// Where a write goes.
pub enum Route {
    Send(Side),
    Held,
    Refused,
}

impl Gateway {
    pub fn new(number: u128) -> Self {
        Self {
            id: GatewayId(Uuid::from_u128(0x6000 + number)),
            known: None,
            has_lease: false,
            held: Vec::new(),
            cut: [false; 2],
        }
    }

    /// Takes a routing unless it is older. Released writes are returned.
    pub fn take(&mut self, told: Announcement) -> Vec<WriteId> {
        let order = |one: &Announcement| (one.turn, one.number);
        if self.known.is_some_and(|known| order(&known) > order(&told)) {
            return Vec::new();
        }
        self.known = Some(told);
        self.has_lease = true;
        match told.routing.writes {
            Writes::Hold { .. } => Vec::new(),
            Writes::To(_) | Writes::Refuse | Writes::Split(_) => std::mem::take(&mut self.held),
        }
    }

    pub fn writes(&self) -> Option<Writes> {
        let known = self.known.filter(|_| self.has_lease)?;
        Some(known.routing.writes)
    }

    pub fn route(&mut self, id: WriteId) -> Route {
        match self.writes() {
            Some(Writes::To(side)) => Route::Send(side),
            Some(Writes::Hold { .. }) => {
                self.held.push(id);
                Route::Held
            }
            Some(Writes::Refuse | Writes::Split(_)) | None => Route::Refused,
        }
    }

    /// Whether it holds for this hand-over.
    pub fn holds(&self, instance: InstanceId, epoch: Epoch) -> bool {
        self.known.is_some_and(|known| {
            self.has_lease
                && known.routing.instance == Some(instance)
                && known.routing.epoch == epoch
                && matches!(known.routing.writes, Writes::Hold { .. })
        })
    }
}
