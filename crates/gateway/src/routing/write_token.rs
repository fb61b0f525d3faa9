//! What a client carries to be shown its own writes by every gateway.
//!
//! Pins live in one process's memory. Where several gateways stand side by
//! side, or one is started again, the client brings back what it must have
//! seen: for one extraction, the side that it wrote to, under which decision,
//! and how far that side's log was after its last write.
//!
//! # Why this is enough
//!
//! *The decision.* The epoch is the one of the routing that the write was sent
//! under, not the one since which this process knows the owner: processes
//! differ in that, and a restarted one would take every older token for
//! settled. Under one epoch writes are sent to one side only: a hand-over
//! takes a new epoch, holds, and then names its outcome. So of a token and a
//! routing that name different sides, the higher epoch is the later ownership.
//! If that is the routing, its owner had caught up with all that was written
//! before. If it is the token, this gateway has not yet heard of a hand-over,
//! and the side that took the write is the one to read from. If both name the
//! same side, the position is one of that side's log, and counts as such,
//! whatever happened in between.
//!
//! *The life.* An extraction that was cancelled and begun anew counts its
//! decisions from the start. So a token names the life that its write belongs
//! to, and one of another life than the routing's is none: whoever wrote under
//! that one wrote at the monolith, or the monolith had caught up before the
//! life could end.
//!
//! *No token.* What a client does not bring back may be lost, or may never
//! have been told to this process: a gateway cannot tell a client that wrote
//! through another one from a client that never wrote. So a read without a
//! token goes to the owner, which has everything, and its answer carries a new
//! token: a position sampled after the read came, so at or past all that its
//! client had been told of by then. A client that never brings tokens back
//! always reads from the owner; one that does is split from its second read
//! on.
//!
//! *A bad token* (forged, cut, of another extraction, of another format) is
//! none. Whoever forges one gets what everybody gets without.
//!
//! *Routes that stay* have no second side. A request there waits for a token's
//! position where it comes from a write; one without a token does not wait for
//! what other gateways may know. The alternative is that every first page,
//! health check and static file of the monolith waits for the follower, and
//! that an extraction whose database is away stops the whole monolith.
//!
//! # What it does not promise
//!
//! A write whose answer never reached its client is in no token. Within one
//! process its pin binds all the same. A client that writes and reads over
//! several connections at once keeps the token that comes last, which may be
//! the older one: pins cover that within one process, nothing across them.
//! And a client that drops its tokens may, in the moment of a release, read
//! through a gateway that has not heard of it yet.
//!
//! # The text
//!
//! `v2.<side><origin>.<life>.<epoch>.<position>.<signature>`: `m` or `s`; `w` for
//! a write, `r` for a read without a token; 32 bits of the life's identity,
//! hexadecimal; the epoch decimal; the position hexadecimal, or `-` where it could
//! not be found out; the first 16 bytes of
//! HMAC-SHA256 over the extraction, 0x00 and what stands before, hexadecimal.

use super::{life::Life, snapshot::RoutingState};
use aws_lc_rs::hmac;
use plan::{ExtractionName, Secret};
use protocol::{Epoch, Lsn, Side};
use std::fmt::Write as _;
use subtle::ConstantTimeEq;

/// Bytes of the signature: half of the digest, as RFC 2104, 5 allows.
const SIGNATURE_BYTES: usize = 16;

/// A longer text is none of ours.
const TEXT_BYTES_MAX: usize = 96;

/// What a client must have seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    /// The side that owned, whose log it is.
    pub(crate) side: Side,
    /// The life of the extraction that it belongs to.
    pub(crate) life: Life,
    /// The decision under which it owned.
    pub(crate) epoch: Epoch,
    pub(crate) origin: Origin,
    /// How far the log was; `None` is not known.
    pub(crate) position: Option<Lsn>,
}

/// What a client did to get a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It wrote.
    Write,
    /// It read without a token, and may have written before.
    Read,
}

/// What a request has shown of its client's writes in an extraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PresentedToken {
    /// The plan does not ask for it.
    Unasked,
    /// No token, or a bad one.
    Nothing,
    Token(Token),
}

/// What that means for a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bond {
    /// Either side will do.
    Free,
    /// The side that does not own has not seen its client's write.
    Behind,
    /// It may not have: nothing is known of the client.
    Unproven,
    /// Its client wrote at this side, under a later decision than the one in
    /// use here.
    Newer(Side),
}

impl PresentedToken {
    /// The same, or nothing where it is of another life than the routing in use.
    pub(crate) fn of_life(self, routing_state: RoutingState) -> Self {
        match (self, routing_state.routing()) {
            (Self::Token(token), Some(routing)) if token.life != Life::of(routing) => Self::Nothing,
            _ => self,
        }
    }

    /// What it means under a routing state. `applied` says how far a side's log has
    /// been applied on the other one.
    pub(crate) fn bond(
        self,
        routing_state: RoutingState,
        applied: impl FnOnce(Side) -> Lsn,
    ) -> Bond {
        let token = match self {
            Self::Unasked => return Bond::Free,
            Self::Nothing => return Bond::Unproven,
            Self::Token(token) => token,
        };
        let (Some(routing), Some(owner)) = (routing_state.routing(), routing_state.ownership())
        else {
            return Bond::Unproven;
        };
        match token.position {
            _ if token.side != owner.side && token.epoch < routing.epoch => Bond::Free,
            _ if token.side != owner.side => Bond::Newer(token.side),
            None => Bond::Unproven,
            Some(position) if position <= applied(owner.side) => Bond::Free,
            Some(_) => Bond::Behind,
        }
    }

    /// The token of a write at the service that the monolith may not have seen.
    pub(crate) fn owed_to_monolith(
        self,
        routing_state: RoutingState,
        applied: impl FnOnce() -> Lsn,
    ) -> Option<Token> {
        let Self::Token(token) = self else {
            return None;
        };
        let is_written_there = token.side == Side::Service && token.origin == Origin::Write;
        let caught_up = match (routing_state.routing(), routing_state.ownership()) {
            (Some(routing), Some(owner)) => {
                owner.side == Side::Monolith && token.epoch < routing.epoch
            }
            _ => false,
        };
        let has_seen = || {
            let applied = applied();
            applied == Lsn::MAX || token.position.is_some_and(|position| position <= applied)
        };
        (is_written_there && !caught_up && !has_seen()).then_some(token)
    }
}

/// Signs and reads the tokens of one extraction.
#[derive(Debug)]
pub(crate) struct Signer {
    key: hmac::Key,
    extraction: ExtractionName,
}

impl Signer {
    pub(crate) fn new(secret: &Secret, extraction: ExtractionName) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret.expose()),
            extraction,
        }
    }

    /// The text of a token.
    pub(crate) fn sign(&self, token: Token) -> String {
        let side = match token.side {
            Side::Monolith => 'm',
            Side::Service => 's',
        };
        let origin = match token.origin {
            Origin::Write => 'w',
            Origin::Read => 'r',
        };
        let mut text = format!("v2.{side}{origin}.{:x}.{}.", token.life.0, token.epoch.0);
        // Writing to a String cannot fail.
        let _ = match token.position {
            Some(position) => write!(text, "{:x}", position.0),
            None => write!(text, "-"),
        };
        let signature = self.signature(&text);
        text.push('.');
        text.push_str(&signature);
        text
    }

    /// Reads a text; `None` where we have not signed it.
    pub(crate) fn read(&self, text: &[u8]) -> Option<Token> {
        let text = std::str::from_utf8(text).ok()?;
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let wanted = self.signature(signed);
        if !bool::from(wanted.as_bytes().ct_eq(signature.as_bytes())) {
            return None;
        }
        // Signed with our key, so well formed, unless another release did.
        let mut parts = signed.strip_prefix("v2.")?.split('.');
        let (side, origin) = match parts.next()? {
            "mw" => (Side::Monolith, Origin::Write),
            "mr" => (Side::Monolith, Origin::Read),
            "sw" => (Side::Service, Origin::Write),
            "sr" => (Side::Service, Origin::Read),
            _ => return None,
        };
        let life = Life(u32::from_str_radix(parts.next()?, 16).ok()?);
        let epoch = Epoch(parts.next()?.parse().ok()?);
        let position = match parts.next()? {
            "-" => None,
            digits => Some(Lsn(u64::from_str_radix(digits, 16).ok()?)),
        };
        parts.next().is_none().then_some(Token {
            side,
            life,
            epoch,
            origin,
            position,
        })
    }

    /// In hexadecimal, as it stands in a token.
    fn signature(&self, text: &str) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(self.extraction.as_str().as_bytes());
        context.update(&[0]);
        context.update(text.as_bytes());
        hex::encode(&context.sign().as_ref()[..SIGNATURE_BYTES])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::Percent;
    use proptest::prelude::*;
    use protocol::{
        InstanceId,
        routing::{ExtractionRouting, Writes},
    };

    fn signer(secret: &str, extraction: &str) -> Signer {
        let secret = Secret::new(secret).unwrap();
        Signer::new(&secret, ExtractionName::new(extraction).unwrap())
    }

    const TOKEN: Token = Token {
        side: Side::Service,
        life: Life(0xa),
        epoch: Epoch(7),
        origin: Origin::Write,
        position: Some(Lsn(50)),
    };

    const LIFE: InstanceId = InstanceId(uuid::Uuid::from_u128(0xa << 96));

    fn routing_state(epoch: u64, writes: Writes) -> RoutingState {
        RoutingState::Unknown.after(Some(ExtractionRouting {
            instance: Some(LIFE),
            epoch: Epoch(epoch),
            writes,
            reads: Percent::ZERO,
            follows: true,
        }))
    }

    const TO_MONOLITH: Writes = Writes::To(Side::Monolith);
    const TO_SERVICE: Writes = Writes::To(Side::Service);
    const FROM_MONOLITH: Writes = Writes::Hold {
        from: Side::Monolith,
    };
    const FROM_SERVICE: Writes = Writes::Hold {
        from: Side::Service,
    };

    #[test]
    fn only_our_own_tokens_are_read() {
        let ours = signer("s", "contracts");
        let text = ours.sign(TOKEN);
        assert!(text.starts_with("v2.sw.a.7.32."), "{text}");
        assert_eq!(ours.read(text.as_bytes()), Some(TOKEN));
        assert_eq!(signer("t", "contracts").read(text.as_bytes()), None);
        assert_eq!(signer("s", "parties").read(text.as_bytes()), None);
        for at in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[at] ^= 1;
            assert_eq!(ours.read(&forged), None, "byte {at}");
        }
        assert_eq!(ours.read(&text.as_bytes()[..text.len() - 1]), None);
        assert_eq!(ours.read(b""), None);
    }

    #[test]
    fn the_later_of_token_and_routing_says_who_has_everything() {
        let bond = |routing_state, applied| {
            PresentedToken::Token(TOKEN).bond(routing_state, |_| Lsn(applied))
        };
        for (routing_state, applied, wanted) in [
            // The same side: its log says.
            (routing_state(7, TO_SERVICE), 49, Bond::Behind),
            (routing_state(7, TO_SERVICE), 50, Bond::Free),
            (routing_state(9, TO_SERVICE), 49, Bond::Behind),
            (routing_state(8, FROM_SERVICE), 49, Bond::Behind),
            // A process that was started later knows the owner since then.
            (routing_state(8, TO_SERVICE), 49, Bond::Behind),
            // A later owner had caught up.
            (routing_state(8, TO_MONOLITH), 0, Bond::Free),
            (routing_state(9, FROM_MONOLITH), 0, Bond::Free),
            // An earlier one, or a hold of which the outcome is not known here.
            (
                routing_state(6, TO_MONOLITH),
                99,
                Bond::Newer(Side::Service),
            ),
            (
                routing_state(7, FROM_MONOLITH),
                99,
                Bond::Newer(Side::Service),
            ),
            (RoutingState::Unknown, 99, Bond::Unproven),
        ] {
            assert_eq!(bond(routing_state, applied), wanted, "{routing_state:?}");
        }
    }

    #[test]
    fn what_is_not_known_binds_to_the_owner() {
        let owner = routing_state(7, TO_SERVICE);
        let unknown = PresentedToken::Token(Token {
            position: None,
            ..TOKEN
        });
        assert_eq!(unknown.bond(owner, |_| Lsn(99)), Bond::Unproven);
        assert_eq!(
            unknown.bond(routing_state(8, TO_MONOLITH), |_| Lsn(0)),
            Bond::Free
        );
        assert_eq!(
            PresentedToken::Nothing.bond(owner, |_| Lsn(99)),
            Bond::Unproven
        );
        assert_eq!(PresentedToken::Unasked.bond(owner, |_| Lsn(0)), Bond::Free);
    }

    #[test]
    fn the_monolith_is_owed_writes_at_the_service_only() {
        let owed = |token: Token, routing_state, applied| {
            PresentedToken::Token(token)
                .owed_to_monolith(routing_state, || Lsn(applied))
                .is_some()
        };
        let owner = routing_state(7, TO_SERVICE);
        assert!(owed(TOKEN, owner, 49));
        assert!(!owed(TOKEN, owner, 50));
        assert!(!owed(TOKEN, routing_state(8, TO_MONOLITH), 0));
        // This gateway has not heard of the switch.
        assert!(owed(TOKEN, routing_state(7, FROM_MONOLITH), 49));
        let position = None;
        assert!(owed(Token { position, ..TOKEN }, owner, 99));
        let origin = Origin::Read;
        assert!(!owed(Token { origin, ..TOKEN }, owner, 0));
        let side = Side::Monolith;
        assert!(!owed(Token { side, ..TOKEN }, owner, 0));
        assert_eq!(
            PresentedToken::Nothing.owed_to_monolith(owner, || Lsn(0)),
            None
        );
    }

    #[test]
    fn a_token_of_another_life_is_none() {
        let later = InstanceId(uuid::Uuid::from_u128(0xb << 96));
        let routing = |instance| {
            RoutingState::Unknown.after(Some(ExtractionRouting {
                instance,
                epoch: Epoch(0),
                writes: TO_MONOLITH,
                reads: Percent::ZERO,
                follows: true,
            }))
        };
        let token = PresentedToken::Token(TOKEN);
        for (instance, wanted) in [
            (Some(LIFE), token),
            (Some(later), PresentedToken::Nothing),
            (None, PresentedToken::Nothing),
        ] {
            assert_eq!(token.of_life(routing(instance)), wanted);
        }
        // What holds is not known yet.
        assert_eq!(token.of_life(RoutingState::Unknown), token);
    }

    proptest! {
        #[test]
        fn any_token_is_read_as_it_was_signed(
            service: bool, write: bool, life: u32, epoch: u64, position: Option<u64>,
        ) {
            let token = Token {
                life: Life(life),
                side: if service { Side::Service } else { Side::Monolith },
                epoch: Epoch(epoch),
                origin: if write { Origin::Write } else { Origin::Read },
                position: position.map(Lsn),
            };
            let ours = signer("s", "contracts");
            let text = ours.sign(token);
            prop_assert!(text.len() <= TEXT_BYTES_MAX);
            prop_assert_eq!(ours.read(text.as_bytes()), Some(token));
        }

        #[test]
        fn nothing_from_outside_panics(text: Vec<u8>) {
            signer("s", "contracts").read(&text);
        }
    }
}
