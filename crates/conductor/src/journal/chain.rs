//! The chain of the journal's entries: each has a hash over its content and the hash
//! before it, so that what was changed, removed or put in afterwards shows. No number is left
//! out: what is rolled back gives its number back.
//!
//! It shows that only against a hash that was kept elsewhere: who may write the file may
//! make the chain anew. Entries cut off the end show by the file's own count, or
//! by the next one, which has another number; where both were mended, only so, too.

use super::entry::{JournalEntry, JournalHead};
use aws_lc_rs::digest::{Context, SHA256};

/// Stands for the hash before the first entry.
const BEFORE_FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The hash of an entry: SHA-256, in hexadecimal, of the netstrings (`5:hello,`) of the
/// hash before it, its number, time, extraction, version and event.
pub(super) fn link(before: Option<&str>, entry: &JournalEntry) -> String {
    let before = before.unwrap_or(BEFORE_FIRST);
    let numbers = [entry.seq, entry.at_ms, entry.version].map(|number| number.to_string());
    let [seq, at_ms, version] = &numbers;
    let mut hash = Context::new(&SHA256);
    let event = entry.event.get();
    for field in [before, seq, at_ms, &entry.extraction, version, event] {
        hash.update(format!("{}:", field.len()).as_bytes());
        hash.update(field.as_bytes());
        hash.update(b",");
    }
    hex::encode(hash.finish())
}

/// Goes along a chain that may begin in the middle, where what was before is taken as it
/// is.
#[derive(Debug, Default)]
pub struct ChainCheck {
    is_whole: bool,
    first: Option<i64>,
    last: Option<JournalHead>,
}

/// The first entry that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenChain {
    /// Its hash is another's.
    #[error(
        "entry {seq} does not go with what is before it ({}): it was changed, or something \
         between them was changed, removed or put in",
        before(*.after)
    )]
    Changed {
        /// Its number.
        seq: i64,
        /// The one before it.
        after: Option<i64>,
    },
    /// It has no hash.
    #[error(
        "entry {0} has no hash: it was taken away, or a version that makes none wrote it, and \
         from there on nothing shows what was changed"
    )]
    Unhashed(i64),
    /// Numbers are left out.
    #[error(
        "entries from {first} to {last} are missing: they were removed, or this is an export of \
         some only"
    )]
    Missing {
        /// The first.
        first: i64,
        /// The last.
        last: i64,
    },
}

impl BrokenChain {
    /// Its number.
    pub fn seq(&self) -> i64 {
        match self {
            Self::Changed { seq, .. } | Self::Unhashed(seq) | Self::Missing { first: seq, .. } => {
                *seq
            }
        }
    }
}

fn before(after: Option<i64>) -> String {
    after.map_or_else(|| "nothing".to_owned(), |seq| format!("entry {seq}"))
}

impl ChainCheck {
    /// Of a journal, which begins with the first entry.
    pub fn whole() -> Self {
        Self {
            is_whole: true,
            ..Self::default()
        }
    }

    /// Checks the next entry.
    pub fn next(&mut self, entry: &JournalEntry) -> Result<(), BrokenChain> {
        if entry.hash.is_empty() {
            return Err(BrokenChain::Unhashed(entry.seq));
        }
        let before = self.last.as_ref();
        let next = before
            .map(|head| head.seq + 1)
            .or(self.is_whole.then_some(1));
        if let Some(first) = next
            && entry.seq > first
        {
            let last = entry.seq - 1;
            return Err(BrokenChain::Missing { first, last });
        }
        let begins_later = before.is_none() && entry.seq > 1;
        let hash = link(before.map(|head| head.hash.as_str()), entry);
        let goes_on = before.is_none_or(|head| head.seq < entry.seq);
        if !goes_on || (hash != entry.hash && !begins_later) {
            return Err(BrokenChain::Changed {
                seq: entry.seq,
                after: before.map(|head| head.seq),
            });
        }
        self.first.get_or_insert(entry.seq);
        self.last = Some(JournalHead {
            seq: entry.seq,
            hash: entry.hash.clone(),
        });
        Ok(())
    }

    /// Checks that nothing was cut off after the last entry, where the last number that was
    /// given is known.
    pub fn end(&self, last: i64) -> Result<(), BrokenChain> {
        let first = self.last.as_ref().map_or(1, |head| head.seq + 1);
        if last < first {
            return Ok(());
        }
        Err(BrokenChain::Missing { first, last })
    }

    /// The number of the first entry.
    pub fn first(&self) -> Option<i64> {
        self.first
    }

    /// The last entry: kept elsewhere, it proves all that is before it.
    pub fn head(&self) -> Option<&JournalHead> {
        self.last.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<JournalEntry> {
        let texts = [
            r#"{"event":"started"}"#,
            r#"{"event":"prepared"}"#,
            r#"{"event":"copied"}"#,
        ];
        let mut entries: Vec<JournalEntry> = Vec::new();
        for (seq, event) in (1..).zip(texts) {
            let row = (seq, 1_700_000_000_000 + seq, "contracts".to_owned(), 1);
            let mut entry = JournalEntry::of_row(row, event, String::new());
            entry.hash = link(entries.last().map(|last| last.hash.as_str()), &entry);
            entries.push(entry);
        }
        entries
    }

    fn check(entries: &[JournalEntry]) -> Result<JournalHead, BrokenChain> {
        let mut check = ChainCheck::default();
        for entry in entries {
            check.next(entry)?;
        }
        Ok(check.head().unwrap().clone())
    }

    #[test]
    fn whatever_is_changed_is_found_where_it_is() {
        let whole = entries();
        assert_eq!(check(&whole).unwrap().seq, 3);
        let broken = |change: &dyn Fn(&mut Vec<JournalEntry>)| {
            let mut entries = entries();
            change(&mut entries);
            check(&entries).map_err(|broken| broken.seq())
        };
        let other = || serde_json::value::RawValue::from_string("{}".to_owned()).unwrap();
        assert_eq!(broken(&|all| all[0].at_ms += 1), Err(1));
        assert_eq!(broken(&|all| all[1].event = other()), Err(2));
        assert_eq!(
            broken(&|all| all[1].extraction = "contract".to_owned()),
            Err(2)
        );
        assert_eq!(broken(&|all| all[1].version = 2), Err(2));
        assert_eq!(broken(&|all| all[1].seq = 3), Err(2));
        assert_eq!(broken(&|all| all[2].hash.clear()), Err(3));
        assert_eq!(broken(&|all| drop(all.remove(1))), Err(2));
        assert_eq!(broken(&|all| all.swap(1, 2)), Err(2));
        let twice = |all: &mut Vec<JournalEntry>| {
            let again = all[1].clone();
            all.insert(2, again);
        };
        assert_eq!(broken(&twice), Err(2));
        // A hash that fits again has the next one not fit.
        let forged = |all: &mut Vec<JournalEntry>| {
            all[1].at_ms += 1;
            all[1].hash = link(Some(&all[0].hash), &all[1]);
        };
        assert_eq!(broken(&forged), Err(3));
        // What goes on from a cut end fits, but for its number.
        let cut = |all: &mut Vec<JournalEntry>| {
            all.remove(1);
            all[1].hash = link(Some(&all[0].hash), &all[1]);
        };
        assert_eq!(broken(&cut), Err(2));
        // A part is as good as what it begins with.
        assert_eq!(check(&whole[1..]).unwrap(), check(&whole).unwrap());
    }

    #[test]
    fn fields_do_not_flow_into_each_other() {
        let of = |extraction: &str, event: &str| {
            let mut entry = entries().remove(0);
            entry.extraction = extraction.to_owned();
            entry.event = serde_json::value::RawValue::from_string(event.to_owned()).unwrap();
            link(None, &entry)
        };
        assert_ne!(of("a,1:1", "12"), of("a", "112"));
        assert_ne!(of("a", "1"), of("a1", "1"));
    }

    /// Never edited: it was written down by some release, and has to be found again.
    #[test]
    fn the_hash_is_the_same_for_ever() {
        assert_eq!(
            check(&entries()).unwrap().hash,
            "489f9963ad040273764c0128d3ff453416e3c47a3271af933f6168b243a95dfc"
        );
    }
}
