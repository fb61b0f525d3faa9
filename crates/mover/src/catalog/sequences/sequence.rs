//! A sequence as one database has it.

use plan::TableName;

/// A sequence, and a moved column that draws from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sequence {
    /// The table.
    pub(crate) table: TableName,
    /// The column.
    pub(crate) column: String,
    /// The sequence, qualified and quoted as `regclass` writes it.
    pub(crate) name: String,
    /// Which numbers it gives out.
    pub(crate) range: Range,
    /// Where it is; `None` where our role may not read it.
    pub(crate) position: Option<Position>,
    /// Whose it is, quoted.
    pub(crate) owner: String,
    /// The role that we are, quoted.
    pub(crate) role: String,
    /// Whether our role may set it.
    pub(crate) may_set: bool,
}

/// How far a sequence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// The last value given out, or the one before the first.
    pub(crate) last: i64,
    /// Whether any was given out since the sequence was made or set.
    pub(crate) is_called: bool,
}

/// Which numbers a sequence gives out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    /// By how much it goes on; negative for a descending one.
    pub(crate) increment: i64,
    /// The least number.
    pub(crate) least: i64,
    /// The greatest number.
    pub(crate) greatest: i64,
    /// Whether it begins anew at its end.
    pub(crate) cycles: bool,
}

impl Range {
    /// The value, if one more can be given out after it. One that cycles goes
    /// to its end at most, and begins anew from there.
    pub(crate) fn reach(self, last: i128) -> Option<i64> {
        let within =
            |value: i128| value >= i128::from(self.least) && value <= i128::from(self.greatest);
        if within(last) && within(last + i128::from(self.increment)) {
            return i64::try_from(last).ok();
        }
        self.cycles.then_some(if self.increment < 0 {
            self.least
        } else {
            self.greatest
        })
    }

    /// Whether it has given out one value after it has given out the other.
    pub(crate) fn is_past(self, one: i64, other: i64) -> bool {
        if self.increment < 0 {
            one < other
        } else {
            one > other
        }
    }

    /// How many numbers come after this one.
    pub(crate) fn left(self, last: i64) -> Option<u64> {
        let end = if self.increment < 0 {
            self.least
        } else {
            self.greatest
        };
        let distance = end.abs_diff(last);
        (!self.cycles).then_some(distance / self.increment.unsigned_abs().max(1))
    }
}
