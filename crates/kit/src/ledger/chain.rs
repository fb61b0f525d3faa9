//! The chain of digests. Pure.

use aws_lc_rs::digest::{Context, SHA256};

const BYTES: usize = 32;

/// The end of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamHead {
    /// How many events there are.
    pub version: i64,
    /// The digest of the last one, which is one of all.
    pub digest: Digest,
}

impl StreamHead {
    /// Of a stream without events.
    pub const NONE: Self = Self {
        version: 0,
        digest: Digest::NONE,
    };
}

/// SHA-256 of an event and of all before it in its stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; BYTES]);

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Digest {
    /// Before the first event.
    pub const NONE: Self = Self([0; BYTES]);

    /// As it was stored. Anything that is not 32 bytes equals no digest of an
    /// event (and [`Digest::NONE`] is none either).
    pub fn from_bytes(bytes: &[u8]) -> Self {
        bytes.try_into().map_or(Self::NONE, Self)
    }

    /// To store it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Where a chain does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BrokenChain {
    /// There is no event of this version where one was.
    #[error("the event of version {0} is missing")]
    Missing(i64),
    /// It is not what was written.
    #[error("the event of version {0} was changed")]
    Changed(i64),
    /// The chain holds, and is not the one that was known.
    #[error("the events up to version {0} were written anew")]
    Rewritten(i64),
}

/// What a digest is over.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    /// The stream's name.
    pub stream: &'a str,
    /// The event's number in it.
    pub version: i64,
    /// What kind of event.
    pub kind: &'a str,
    /// What happened, as JSON.
    pub payload: &'a str,
    /// Microseconds since 1970.
    pub at: i64,
}

impl Link<'_> {
    /// Its digest after `previous`. Texts come with their lengths, so that
    /// nothing can move from one to the next.
    pub fn digest(&self, previous: Digest) -> Digest {
        let mut context = Context::new(&SHA256);
        context.update(previous.as_bytes());
        context.update(&self.version.to_be_bytes());
        context.update(&self.at.to_be_bytes());
        for text in [self.stream, self.kind, self.payload] {
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text.as_bytes());
        }
        Digest::from_bytes(context.finish().as_ref())
    }

    /// The end of the chain with this link, as stored, after `head`.
    pub fn follows(
        &self,
        head: StreamHead,
        previous: Digest,
        digest: Digest,
    ) -> Result<StreamHead, BrokenChain> {
        if self.version != head.version + 1 {
            return Err(BrokenChain::Missing(head.version + 1));
        }
        if previous != head.digest || self.digest(previous) != digest {
            return Err(BrokenChain::Changed(self.version));
        }
        Ok(StreamHead {
            version: self.version,
            digest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn link(version: i64, kind: &'static str, payload: &str) -> Link<'static> {
        Link {
            stream: "audit",
            version,
            kind,
            payload: payload.to_owned().leak(),
            at: 1_700_000_000_000_000 + version,
        }
    }

    #[test]
    fn a_digest_is_what_it_was_in_every_version() {
        // Computed once by another program.
        let digest = link(1, "logged-in", "{\"user\":7}").digest(Digest::NONE);
        assert_eq!(
            digest.to_string(),
            "926cf7968ce7ef58dc80d799b583498fb62a65f2e0efd75f03860ef7da03bd88"
        );
    }

    #[test]
    fn text_cannot_move_from_the_kind_to_the_payload() {
        let one = link(1, "ab", "c").digest(Digest::NONE);
        assert_ne!(one, link(1, "a", "bc").digest(Digest::NONE));
    }

    proptest! {
        #[test]
        fn every_change_shows(
            payloads in prop::collection::vec("[a-z]{0,8}", 1..12),
            at: prop::sample::Index,
            change in "[a-z]{0,8}",
        ) {
            let mut chain = Vec::new();
            let mut head = StreamHead::NONE;
            for (number, payload) in (1..).zip(&payloads) {
                let link = link(number, "x", payload);
                let (previous, digest) = (head.digest, link.digest(head.digest));
                head = link.follows(head, previous, digest).unwrap();
                chain.push((link, previous, digest));
            }
            let walk = |chain: &[(Link<'static>, Digest, Digest)]| chain
                .iter()
                .try_fold(StreamHead::NONE, |head, (link, previous, digest)| link.follows(head, *previous, *digest));
            prop_assert_eq!(walk(&chain), Ok(head));
            let place = at.index(chain.len());
            let version = chain[place].0.version;
            // Removed in the middle, or changed, with or without a new digest of its own.
            let mut removed = chain.clone();
            removed.remove(place);
            if place + 1 < chain.len() {
                prop_assert_eq!(walk(&removed), Err(BrokenChain::Missing(version)));
            }
            if change != payloads[place] {
                let mut changed = chain.clone();
                changed[place].0 = link(version, "x", &change);
                prop_assert_eq!(walk(&changed), Err(BrokenChain::Changed(version)));
                changed[place].2 = changed[place].0.digest(changed[place].1);
                let expected = match chain.get(place + 1) {
                    Some((next, ..)) => Err(BrokenChain::Changed(next.version)),
                    // The end itself: only a known head tells.
                    None => Ok(StreamHead { version, digest: changed[place].2 }),
                };
                prop_assert_eq!(walk(&changed), expected);
            }
        }
    }
}
