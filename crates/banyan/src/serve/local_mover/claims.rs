//! The claims on both sides' ownership rows, kept between one call and the next.

use super::errors::work_error;
use conductor::ports::WorkError;
use mover::{Claims, Mover};
use protocol::{
    ConductorId, Generation, Side,
    owner::{Claim, RowRead},
};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The claims that this conductor has made.
#[derive(Default)]
pub(super) struct ClaimStore {
    made: Mutex<Made>,
}

#[derive(Clone, Copy, Default)]
struct Made {
    conductor: Option<ConductorId>,
    claims: [Option<Claim>; 2],
}

fn index(side: Side) -> usize {
    usize::from(side == Side::Service)
}

impl ClaimStore {
    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all claims: another conductor of this process begins.
    pub(super) fn begin(&self, conductor: ConductorId) {
        *self.made() = Made {
            conductor: Some(conductor),
            claims: [None; 2],
        };
    }

    /// Keeps claims on both sides.
    pub(super) fn keep(&self, conductor: ConductorId, claims: Claims) {
        *self.made() = Made {
            conductor: Some(conductor),
            claims: [Some(claims.monolith), Some(claims.service)],
        };
    }

    /// Forgets the claims, whose rows are gone; who claims stays.
    pub(super) fn forget(&self) {
        self.made().claims = [None; 2];
    }

    /// The claims on these sides, made now where a side did not answer before.
    /// A claim on another side is one that every row refuses.
    pub(super) async fn on(&self, mover: &Mover, sides: &[Side]) -> Result<Claims, WorkError> {
        let unclaimed = || WorkError::Permanent("its rows have not been claimed".to_owned());
        let conductor = self.made().conductor.ok_or_else(unclaimed)?;
        for side in sides {
            if self.made().claims[index(*side)].is_none() {
                let claimed = mover.claim_row(*side, conductor).await;
                // It was there, or did not answer, when the rows were compared.
                let gone = || {
                    WorkError::RowChanged(format!(
                        "the {side}'s ownership row is gone: it is looked anew who owns the data"
                    ))
                };
                let (_, claim) = claimed.map_err(work_error)?.ok_or_else(gone)?;
                self.made().claims[index(*side)] = Some(claim);
            }
        }
        let none = Claim {
            conductor,
            generation: Generation::default(),
        };
        let [monolith, service] = self.made().claims.map(|claim| claim.unwrap_or(none));
        Ok(Claims { monolith, service })
    }

    /// Claims a side's row and reads it; a database that is down is not an error.
    pub(super) async fn read(
        &self,
        mover: &Mover,
        side: Side,
        conductor: ConductorId,
    ) -> Result<RowRead, WorkError> {
        match mover.claim_row(side, conductor).await {
            Ok(None) => Ok(RowRead::NoRow),
            Ok(Some((row, claim))) => {
                self.made().claims[index(side)] = Some(claim);
                Ok(RowRead::Row(row))
            }
            Err(error) if error.is_transient() => {
                tracing::warn!(%side, %error, "a side does not answer");
                Ok(RowRead::NoAnswer)
            }
            Err(error) => Err(work_error(error)),
        }
    }
}
