//! Where a request of an extraction goes: pure functions over the standing of
//! the extraction and what is known of the client.

use crate::{
    answer::Refusal,
    cohort::Bucket,
    snapshot::{Ownership, Standing},
};
use plan::ExtractionName;
use protocol::{Side, routing::Writes};

/// Whether the conductor's lease still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lease {
    Running,
    Ended,
}

/// What happens to a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteVerdict {
    Forward(Ownership),
    Hold,
    Refuse(Refusal),
}

/// Where a write goes.
pub(crate) fn write(standing: Standing, lease: Lease) -> WriteVerdict {
    let (routing, owner) = match (lease, standing) {
        (Lease::Ended, _) => return WriteVerdict::Refuse(Refusal::NoLease),
        (_, Standing::Unknown | Standing::Ownerless(_)) => {
            return WriteVerdict::Refuse(Refusal::OwnerUnknown);
        }
        (Lease::Running, Standing::Owned(routing, owner)) => (routing, owner),
    };
    match routing.writes {
        Writes::To(_) => WriteVerdict::Forward(owner),
        Writes::Hold { .. } => WriteVerdict::Hold,
        Writes::Refuse => WriteVerdict::Refuse(Refusal::OwnerUnknown),
    }
}

/// Where a read goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReadVerdict {
    pub(crate) side: Side,
    pub(crate) owner: Side,
    pub(crate) why: Why,
}

/// Why a read goes where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Its client chose.
    Forced,
    /// Nothing names its client, so it goes to the owner.
    Unnamed,
    /// The split covers its client.
    Covered,
    /// It does not.
    NotCovered,
    /// The other side has not seen its client's own write.
    Pinned,
}

/// Where a read goes: to the side that its client has forced, or that the
/// split chose. `pinned` is asked only where that side does not own.
pub(crate) fn read(
    standing: Standing,
    lease: Lease,
    extraction: &ExtractionName,
    key: Option<&[u8]>,
    forced: Option<Side>,
    pinned: impl FnOnce(Ownership) -> bool,
) -> Result<ReadVerdict, Refusal> {
    if lease == Lease::Ended {
        return Err(Refusal::NoLease);
    }
    let Standing::Owned(routing, owner) = standing else {
        return Err(Refusal::OwnerUnknown);
    };
    if routing.writes == Writes::Refuse {
        return Err(Refusal::OwnerUnknown);
    }
    let (chosen, why) = match (forced, key) {
        (Some(side), _) => (side, Why::Forced),
        (None, None) => (owner.side, Why::Unnamed),
        (None, Some(key)) if Bucket::of(extraction, key).is_covered_by(routing.reads) => {
            (Side::Service, Why::Covered)
        }
        (None, Some(_)) => (Side::Monolith, Why::NotCovered),
    };
    let (side, why) = if chosen != owner.side && pinned(owner) {
        (owner.side, Why::Pinned)
    } else {
        (chosen, why)
    };
    Ok(ReadVerdict {
        side,
        owner: owner.side,
        why,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::Percent;
    use protocol::{Epoch, routing::ExtractionRouting};

    fn standing(writes: Writes, reads: Percent) -> Standing {
        Standing::Unknown.after(Some(ExtractionRouting {
            epoch: Epoch(1),
            writes,
            reads,
        }))
    }

    fn read_side(standing: Standing, key: Option<&[u8]>, pinned: bool) -> Result<Side, Refusal> {
        let name = ExtractionName::new("contracts").unwrap();
        read(standing, Lease::Running, &name, key, None, |_| pinned).map(|verdict| verdict.side)
    }

    const TO_MONOLITH: Writes = Writes::To(Side::Monolith);
    const TO_SERVICE: Writes = Writes::To(Side::Service);

    #[test]
    fn writes_go_to_the_owner_or_wait_or_are_refused() {
        let owner = Ownership {
            side: Side::Service,
            since: Epoch(1),
        };
        let service = standing(TO_SERVICE, Percent::ZERO);
        assert_eq!(write(service, Lease::Running), WriteVerdict::Forward(owner));
        assert_eq!(
            write(service, Lease::Ended),
            WriteVerdict::Refuse(Refusal::NoLease)
        );
        let hold = standing(
            Writes::Hold {
                from: Side::Service,
            },
            Percent::ZERO,
        );
        assert_eq!(write(hold, Lease::Running), WriteVerdict::Hold);
        let unknown = WriteVerdict::Refuse(Refusal::OwnerUnknown);
        assert_eq!(write(Standing::Unknown, Lease::Running), unknown);
        assert_eq!(
            write(standing(Writes::Refuse, Percent::ZERO), Lease::Running),
            unknown
        );
    }

    #[test]
    fn reads_are_split_by_client() {
        let (key, all, none) = (Some(&b"k"[..]), Percent::ALL, Percent::ZERO);
        let side = |writes, share, key| read_side(standing(writes, share), key, false);
        assert_eq!(side(TO_MONOLITH, all, key), Ok(Side::Service));
        assert_eq!(side(TO_MONOLITH, none, key), Ok(Side::Monolith));
        assert_eq!(side(TO_MONOLITH, all, None), Ok(Side::Monolith));
        assert_eq!(side(TO_SERVICE, none, None), Ok(Side::Service));
        assert_eq!(side(TO_SERVICE, none, key), Ok(Side::Monolith));
        assert_eq!(
            side(
                Writes::Hold {
                    from: Side::Service
                },
                none,
                None
            ),
            Ok(Side::Service)
        );
        assert_eq!(side(Writes::Refuse, all, key), Err(Refusal::OwnerUnknown));
    }

    #[test]
    fn a_forced_side_comes_before_the_split_but_not_before_a_pin() {
        let name = ExtractionName::new("contracts").unwrap();
        let side = |forced, pinned| {
            let standing = standing(TO_MONOLITH, Percent::ALL);
            let key = Some(&b"k"[..]);
            read(standing, Lease::Running, &name, key, forced, |_| pinned).map(|it| it.side)
        };
        assert_eq!(side(Some(Side::Monolith), false), Ok(Side::Monolith));
        assert_eq!(side(Some(Side::Service), false), Ok(Side::Service));
        assert_eq!(side(Some(Side::Service), true), Ok(Side::Monolith));
    }

    #[test]
    fn a_pinned_client_reads_from_the_owner_on_either_side() {
        let key = Some(&b"k"[..]);
        let side = |writes, share| read_side(standing(writes, share), key, true);
        assert_eq!(side(TO_MONOLITH, Percent::ALL), Ok(Side::Monolith));
        assert_eq!(side(TO_SERVICE, Percent::ZERO), Ok(Side::Service));
    }
}
