//! Where a request of an extraction goes: pure functions over the routing state of
//! the extraction and what is known of the client.

use super::{
    snapshot::{Ownership, RoutingState},
    write_token::Bond,
};
use crate::base::{cohort::Bucket, refusal::Refusal};
use plan::{ExtractionName, Percent};
use protocol::{Side, routing::Writes};

/// Whether the conductor's lease still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lease {
    Running,
    Ended,
}

/// By what right a side gets a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    /// It owns the data.
    Owner(Ownership),
    /// Both sides share the data, and this one was chosen for the client.
    SharedData(Side),
}

impl Right {
    pub(crate) fn side(self) -> Side {
        match self {
            Self::Owner(owner) => owner.side,
            Self::SharedData(side) => side,
        }
    }

    /// Whether the write works on the monolith's database: then what its client
    /// wrote at other services must have got there.
    pub(crate) fn is_on_monolith_data(self) -> bool {
        match self {
            Self::Owner(owner) => owner.side == Side::Monolith,
            Self::SharedData(_) => true,
        }
    }
}

/// What happens to a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteVerdict {
    Forward(Right),
    Hold,
    Refuse(Refusal),
}

/// Where a write goes. Its client is asked for only where both sides may write.
pub(crate) fn write(
    routing_state: RoutingState,
    lease: Lease,
    client: impl FnOnce() -> Choosing,
) -> WriteVerdict {
    let unknown = WriteVerdict::Refuse(Refusal::OwnerUnknown);
    match (lease, routing_state) {
        (Lease::Ended, _) => WriteVerdict::Refuse(Refusal::NoLease),
        (_, RoutingState::Unknown | RoutingState::Ownerless(_)) => unknown,
        (_, RoutingState::Owned(routing, owner)) => match routing.writes {
            Writes::To(_) => WriteVerdict::Forward(Right::Owner(owner)),
            Writes::Hold { .. } => WriteVerdict::Hold,
            Writes::Refuse | Writes::Split(_) => unknown,
        },
        (_, RoutingState::SharedData { writes, .. }) => {
            let (side, _) = client().side(writes);
            WriteVerdict::Forward(Right::SharedData(side))
        }
    }
}

/// What a client's side follows from, where both sides share the data.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Choosing {
    /// Its place in the split; `None` where nothing names it.
    pub(crate) bucket: Option<Bucket>,
    /// The side that it or a flag has chosen, and which of them.
    pub(crate) forced: Option<(Side, Why)>,
}

impl Choosing {
    /// The side, under this share. One that nothing names is not split: it
    /// goes along when everybody does.
    pub(crate) fn side(self, share: Percent) -> (Side, Why) {
        match (self.forced, self.bucket) {
            (Some(chosen), _) => chosen,
            (None, _) if share == Percent::ALL => (Side::Service, Why::Everybody),
            (None, None) => (Side::Monolith, Why::Unnamed),
            (None, Some(bucket)) if bucket.is_covered_by(share) => (Side::Service, Why::Covered),
            (None, Some(_)) => (Side::Monolith, Why::NotCovered),
        }
    }
}

/// Where a read goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReadVerdict {
    pub(crate) side: Side,
    /// Where data are shared, the monolith: it stands in for the service.
    pub(crate) owner: Side,
    pub(crate) why: Why,
}

/// Why a read goes where it goes; and a write, where data are shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Its client chose.
    Forced,
    /// A feature flag chose for its client.
    Flagged,
    /// Nothing names its client, so it goes to the owner.
    Unnamed,
    /// The split covers its client.
    Covered,
    /// It does not.
    NotCovered,
    /// The split covers everybody.
    Everybody,
    /// The other side has not seen its client's own write.
    Pinned,
    /// It may not have: its client brings no token, so that nobody knows.
    Unproven,
    /// Its client wrote at this side under a later decision.
    Newer,
}

/// What is known of a read's client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) key: Option<&'a [u8]>,
    /// The side that the client or a flag has chosen, and which of them.
    pub(crate) forced: Option<(Side, Why)>,
    /// What its token says.
    pub(crate) bond: Bond,
}

/// Where a read goes: to the side that its client has forced, or that the
/// split chose. `pinned` is asked only where that side does not own.
pub(crate) fn read(
    routing_state: RoutingState,
    lease: Lease,
    extraction: &ExtractionName,
    asking: Asking<'_>,
    pinned: impl FnOnce(Ownership) -> bool,
) -> Result<ReadVerdict, Refusal> {
    if lease == Lease::Ended {
        return Err(Refusal::NoLease);
    }
    let (routing, owner) = match routing_state {
        RoutingState::Owned(routing, owner) => (routing, owner),
        RoutingState::SharedData { routing, .. } => {
            let bucket = asking.key.map(|key| Bucket::of(extraction, key));
            let forced = asking.forced;
            let (side, why) = Choosing { bucket, forced }.side(routing.reads);
            let owner = Side::Monolith;
            return Ok(ReadVerdict { side, owner, why });
        }
        RoutingState::Unknown | RoutingState::Ownerless(_) => return Err(Refusal::OwnerUnknown),
    };
    if routing.writes == Writes::Refuse {
        return Err(Refusal::OwnerUnknown);
    }
    if let Bond::Newer(side) = asking.bond {
        // It is the owner, which will be said here in a moment.
        return Ok(ReadVerdict {
            side,
            owner: side,
            why: Why::Newer,
        });
    }
    let (chosen, why) = match (asking.forced, asking.key) {
        (Some(chosen), _) => chosen,
        (None, None) => (owner.side, Why::Unnamed),
        (None, Some(key)) if Bucket::of(extraction, key).is_covered_by(routing.reads) => {
            (Side::Service, Why::Covered)
        }
        (None, Some(_)) => (Side::Monolith, Why::NotCovered),
    };
    let (side, why) = match asking.bond {
        _ if chosen == owner.side => (chosen, why),
        Bond::Unproven => (owner.side, Why::Unproven),
        Bond::Behind => (owner.side, Why::Pinned),
        _ if pinned(owner) => (owner.side, Why::Pinned),
        Bond::Free | Bond::Newer(_) => (chosen, why),
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
    use proptest::prelude::*;
    use protocol::{Epoch, routing::ExtractionRouting};

    fn routing_state(writes: Writes, reads: Percent) -> RoutingState {
        RoutingState::Unknown.after(Some(ExtractionRouting {
            instance: None,
            epoch: Epoch(1),
            writes,
            reads,
            follows: true,
        }))
    }

    fn asking(key: Option<&[u8]>, forced: Option<(Side, Why)>, bond: Bond) -> Asking<'_> {
        Asking { key, forced, bond }
    }

    fn read_side(
        routing_state: RoutingState,
        key: Option<&[u8]>,
        pinned: bool,
    ) -> Result<Side, Refusal> {
        let name = ExtractionName::new("contracts").unwrap();
        read(
            routing_state,
            Lease::Running,
            &name,
            asking(key, None, Bond::Free),
            |_| pinned,
        )
        .map(|verdict| verdict.side)
    }

    const TO_MONOLITH: Writes = Writes::To(Side::Monolith);
    const TO_SERVICE: Writes = Writes::To(Side::Service);

    #[test]
    fn writes_go_to_the_owner_or_wait_or_are_refused() {
        let owner = Ownership {
            side: Side::Service,
            since: Epoch(1),
        };
        let write = |routing_state, lease| {
            super::write(routing_state, lease, || unreachable!("not shared"))
        };
        let service = routing_state(TO_SERVICE, Percent::ZERO);
        assert_eq!(
            write(service, Lease::Running),
            WriteVerdict::Forward(Right::Owner(owner))
        );
        assert_eq!(
            write(service, Lease::Ended),
            WriteVerdict::Refuse(Refusal::NoLease)
        );
        let hold = routing_state(
            Writes::Hold {
                from: Side::Service,
            },
            Percent::ZERO,
        );
        assert_eq!(write(hold, Lease::Running), WriteVerdict::Hold);
        let unknown = WriteVerdict::Refuse(Refusal::OwnerUnknown);
        assert_eq!(write(RoutingState::Unknown, Lease::Running), unknown);
        assert_eq!(
            write(routing_state(Writes::Refuse, Percent::ZERO), Lease::Running),
            unknown
        );
    }

    #[test]
    fn reads_are_split_by_client() {
        let (key, all, none) = (Some(&b"k"[..]), Percent::ALL, Percent::ZERO);
        let side = |writes, share, key| read_side(routing_state(writes, share), key, false);
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
        let side = |forced: Option<Side>, pinned| {
            let routing_state = routing_state(TO_MONOLITH, Percent::ALL);
            let forced = forced.map(|side| (side, Why::Forced));
            let asking = asking(Some(b"k"), forced, Bond::Free);
            read(routing_state, Lease::Running, &name, asking, |_| pinned).map(|it| it.side)
        };
        assert_eq!(side(Some(Side::Monolith), false), Ok(Side::Monolith));
        assert_eq!(side(Some(Side::Service), false), Ok(Side::Service));
        assert_eq!(side(Some(Side::Service), true), Ok(Side::Monolith));
    }

    #[test]
    fn a_token_binds_where_the_side_does_not_own_and_wherever_it_is_newer() {
        let name = ExtractionName::new("contracts").unwrap();
        let verdict = |share, bond| {
            let routing_state = routing_state(TO_MONOLITH, share);
            let asking = asking(Some(b"k"), None, bond);
            let verdict = read(routing_state, Lease::Running, &name, asking, |_| false).unwrap();
            (verdict.side, verdict.why)
        };
        let (monolith, service) = (Side::Monolith, Side::Service);
        for (share, bond, wanted) in [
            (Percent::ALL, Bond::Free, (service, Why::Covered)),
            (Percent::ALL, Bond::Behind, (monolith, Why::Pinned)),
            (Percent::ALL, Bond::Unproven, (monolith, Why::Unproven)),
            (Percent::ZERO, Bond::Behind, (monolith, Why::NotCovered)),
            (Percent::ZERO, Bond::Newer(service), (service, Why::Newer)),
        ] {
            assert_eq!(verdict(share, bond), wanted, "{bond:?}");
        }
    }

    #[test]
    fn a_pinned_client_reads_from_the_owner_on_either_side() {
        let key = Some(&b"k"[..]);
        let side = |writes, share| read_side(routing_state(writes, share), key, true);
        assert_eq!(side(TO_MONOLITH, Percent::ALL), Ok(Side::Monolith));
        assert_eq!(side(TO_SERVICE, Percent::ZERO), Ok(Side::Service));
    }

    #[test]
    fn shared_data_are_split_by_client_and_need_no_pin() {
        let (some, none) = (Percent::parse("30%").unwrap(), Percent::ZERO);
        let name = ExtractionName::new("auth").unwrap();
        let routing_state = routing_state(Writes::Split(some), none);
        let bucket = |key: &[u8]| Some(Bucket::of(&name, key));
        let keys: Vec<Vec<u8>> = (0..50).map(|n| format!("user-{n}").into_bytes()).collect();
        let covered = |key: &&Vec<u8>| Bucket::of(&name, key).is_covered_by(some);
        let (inside, outside) = (
            keys.iter().find(covered).unwrap(),
            keys.iter().find(|key| !covered(key)).unwrap(),
        );
        let forced = |side| Some((side, Why::Forced));
        for (bucket, forced, wanted) in [
            (bucket(inside), None, Side::Service),
            (bucket(outside), None, Side::Monolith),
            (None, None, Side::Monolith),
            (bucket(inside), forced(Side::Monolith), Side::Monolith),
            (bucket(outside), forced(Side::Service), Side::Service),
            (None, forced(Side::Service), Side::Service),
        ] {
            let verdict = write(routing_state, Lease::Running, || Choosing {
                bucket,
                forced,
            });
            assert_eq!(verdict, WriteVerdict::Forward(Right::SharedData(wanted)));
        }
        let verdict = write(routing_state, Lease::Ended, Choosing::default);
        assert_eq!(verdict, WriteVerdict::Refuse(Refusal::NoLease));
        // Its reads are split apart, and nobody asks for a pin.
        let read = |reads, key| {
            let routing_state = super::tests::routing_state(Writes::Split(none), reads);
            let asking = asking(key, None, Bond::Free);
            let unasked = |_| panic!("no pin");
            let verdict = read(routing_state, Lease::Running, &name, asking, unasked).unwrap();
            (verdict.side, verdict.owner)
        };
        let monolith = Side::Monolith;
        assert_eq!(read(some, Some(&inside[..])), (Side::Service, monolith));
        assert_eq!(read(some, Some(&outside[..])), (monolith, monolith));
        assert_eq!(read(some, None), (monolith, monolith));
        assert_eq!(read(Percent::ALL, None), (Side::Service, monolith));
    }

    proptest! {
        #[test]
        fn raising_the_share_of_writes_only_adds_clients(
            key: Option<Vec<u8>>, low in 0..=10_000u16, high in 0..=10_000u16,
        ) {
            let (low, high) = (low.min(high), low.max(high));
            let name = ExtractionName::new("auth").unwrap();
            let bucket = key.map(|key| Bucket::of(&name, &key));
            let choosing = Choosing { bucket, forced: None };
            let side = |points| choosing.side(Percent::from_basis_points(points).unwrap()).0;
            prop_assert!(side(low) == Side::Monolith || side(high) == Side::Service);
            prop_assert_eq!(side(0), Side::Monolith);
            prop_assert_eq!(side(10_000), Side::Service);
        }
    }
}
