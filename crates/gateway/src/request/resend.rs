//! Whether a request may be sent again, and to which side. Everything that sends
//! asks here, and nowhere else is it decided. (Below it, `upstream::http2` opens a
//! new connection where h2 hands a request back of which it has sent nothing: that
//! is still the same try.)
//!
//! # To the same side
//!
//! | What came of it ([`Attempt`])                          | `Again`  | `Once`   |
//! |--------------------------------------------------------|----------|----------|
//! | a kept connection was closed before a byte was sent    | at once  | at once  |
//! | a kept connection broke after that, without an answer  | at once  | given up |
//! | no connection, or not a byte was sent on a new one     | a try    | a try    |
//! | HTTP/2 says that nothing was processed; it is used up  | a try    | given up |
//! | it broke without an answer, or the answer makes no sense | a try  | given up |
//! | 502, 503 or 504                                        | a try    | given up |
//! | its own body failed: the client's doing                | given up | given up |
//!
//! "At once" is on a new connection to the same instance. "A try" is after a
//! pause, at another instance of the same side where there is one, as often as
//! the plan's `retries` and their budget allow. A 502, 503 or 504 that is given
//! up is passed on. When the plan's time for the answer is over, nothing is tried
//! any more, whatever came of it.
//!
//! # To the other side
//!
//! | Request                     | What came of it at its side | Then           |
//! |-----------------------------|-----------------------------|----------------|
//! | read, side is the owner     | anything                    | stays          |
//! | read, `Again`               | failed, however             | the owner      |
//! | read, `Once`, body here     | not sent                    | the owner      |
//! | read, `Once`                | anything else               | stays          |
//! | write, one owner            | anything                    | stays          |
//! | write, shared data, service, body here | not sent         | the monolith   |
//! | write, shared data          | anything else               | stays          |
//!
//! A service with a share of 0 % gets no write: none ever goes from the monolith
//! to it. `Again` is the leave of requests that are safe, or that the client has
//! given an `Idempotency-Key` and the plan trusts the upstream to keep those
//! ([`Sends::of`]); a route of kind `reads-once` has none.

use crate::routing::decision::Right;
use plan::{KindRule, MethodKind};
use protocol::Side;

/// How often a request may be sent where nobody knows what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sends {
    Once,
    /// It is safe or idempotent, and its body is here.
    Again,
}

impl Sends {
    /// `is_repeatable`: [`is_safe`] or idempotent. A body that is passed on as it
    /// comes cannot be sent twice.
    pub(crate) fn of(is_repeatable: bool, body_is_here: bool) -> Self {
        if is_repeatable && body_is_here {
            Self::Again
        } else {
            Self::Once
        }
    }
}

/// Whether a request may be executed twice, as its method and its route say.
pub(crate) fn is_safe(kind: MethodKind, rule: Option<KindRule>) -> bool {
    kind == MethodKind::Read && rule != Some(KindRule::ReadsOnce)
}

/// What came of one try, where there is no good answer. All tries share one
/// time limit, which ends the last of them from outside and is not listed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// A kept connection was closed before a byte of it was sent.
    KeptUnsent,
    /// A kept connection broke while it was sent or awaited.
    KeptBroken,
    /// There was no connection, or not a byte was sent on a new one.
    Unsent,
    /// Nothing of it was processed, but it is used up.
    UnsentUsedUp,
    /// It may have had its effect: the connection broke, or the answer makes no
    /// sense.
    Broken,
    /// 502, 503 or 504.
    GatewayError,
    /// The client did not send all of it, or not in time.
    ClientFault,
}

/// Whether the same side is asked once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SameSide {
    /// On a new connection to the same instance.
    AtOnce,
    /// After a pause, within the retries of the plan.
    Try,
    GivenUp,
}

/// Whether the same side is asked once more after a try.
pub(crate) fn to_same_side(sends: Sends, attempt: Attempt) -> SameSide {
    match (attempt, sends) {
        (Attempt::KeptUnsent, _) | (Attempt::KeptBroken, Sends::Again) => SameSide::AtOnce,
        (Attempt::Unsent, _)
        | (Attempt::UnsentUsedUp | Attempt::Broken | Attempt::GatewayError, Sends::Again) => {
            SameSide::Try
        }
        (
            Attempt::KeptBroken | Attempt::UnsentUsedUp | Attempt::Broken | Attempt::GatewayError,
            Sends::Once,
        )
        | (Attempt::ClientFault, _) => SameSide::GivenUp,
    }
}

/// What came of a request at its side, all tries together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SideResult {
    /// An answer that is not a failure of the side.
    Answered,
    /// Not a byte of it reached the side.
    NotSent,
    /// It was sent, and the side failed: no answer, or 502, 503 or 504.
    Failed,
    /// The request itself was at fault.
    ClientFault,
}

/// Whether the owner is asked for a read that `side` was asked for.
pub(crate) fn read_to_owner(
    sends: Sends,
    body_is_here: bool,
    (side, owner): (Side, Side),
    result: SideResult,
) -> bool {
    side != owner
        && match (result, sends) {
            (SideResult::Answered | SideResult::ClientFault, _)
            | (SideResult::Failed, Sends::Once) => false,
            (SideResult::NotSent | SideResult::Failed, Sends::Again) => true,
            (SideResult::NotSent, Sends::Once) => body_is_here,
        }
}

/// Whether the monolith is asked for a write that could not be sent by this
/// right, not a byte of it.
pub(crate) fn unsent_write_to_monolith(right: Right, body_is_here: bool) -> bool {
    right == Right::SharedData(Side::Service) && body_is_here
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::snapshot::Ownership;
    use protocol::Epoch;

    #[test]
    fn the_same_side_is_asked_again_as_the_table_says() {
        use Attempt::*;
        use SameSide::{AtOnce, GivenUp, Try};
        for (attempt, again, once) in [
            (KeptUnsent, AtOnce, AtOnce),
            (KeptBroken, AtOnce, GivenUp),
            (Unsent, Try, Try),
            (UnsentUsedUp, Try, GivenUp),
            (Broken, Try, GivenUp),
            (GatewayError, Try, GivenUp),
            (ClientFault, GivenUp, GivenUp),
        ] {
            assert_eq!(to_same_side(Sends::Again, attempt), again, "{attempt:?}");
            assert_eq!(to_same_side(Sends::Once, attempt), once, "{attempt:?}");
        }
    }

    #[test]
    fn a_read_goes_to_the_owner_as_the_table_says() {
        use SideResult::*;
        let (owner, other) = (Side::Monolith, Side::Service);
        for (result, again, once, once_streamed) in [
            (Answered, false, false, false),
            (NotSent, true, true, false),
            (Failed, true, false, false),
            (ClientFault, false, false, false),
        ] {
            let asks = |sends, here| read_to_owner(sends, here, (other, owner), result);
            assert_eq!(asks(Sends::Again, true), again, "{result:?}");
            assert_eq!(asks(Sends::Once, true), once, "{result:?}");
            assert_eq!(asks(Sends::Once, false), once_streamed, "{result:?}");
            for sends in [Sends::Again, Sends::Once] {
                assert!(!read_to_owner(sends, true, (owner, owner), result));
            }
        }
    }

    #[test]
    fn a_write_goes_to_the_monolith_as_the_table_says() {
        let owned = |side| {
            Right::Owner(Ownership {
                side,
                since: Epoch(1),
            })
        };
        for (right, here, wanted) in [
            (Right::SharedData(Side::Service), true, true),
            (Right::SharedData(Side::Service), false, false),
            (Right::SharedData(Side::Monolith), true, false),
            (owned(Side::Service), true, false),
            (owned(Side::Monolith), true, false),
        ] {
            assert_eq!(unsent_write_to_monolith(right, here), wanted, "{right:?}");
        }
    }

    #[test]
    fn the_leave_is_for_what_is_safe_or_idempotent_and_here() {
        for (repeatable, here, wanted) in [
            (true, true, Sends::Again),
            (true, false, Sends::Once),
            (false, true, Sends::Once),
            (false, false, Sends::Once),
        ] {
            assert_eq!(Sends::of(repeatable, here), wanted);
        }
        assert!(is_safe(MethodKind::Read, None));
        assert!(is_safe(MethodKind::Read, Some(KindRule::ByMethod)));
        assert!(!is_safe(MethodKind::Read, Some(KindRule::ReadsOnce)));
        assert!(!is_safe(MethodKind::Write, None));
    }
}
