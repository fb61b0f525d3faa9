//! Blocks of ten seconds, as a test wants them.

use judge::{Bin, Block, Condition, Confidence, Judge, Moment, Reading, Side, Verdict};
use std::time::Duration;

pub(crate) const BLOCK: Duration = Duration::from_secs(10);
const BLOCK_MILLIS: u64 = 10_000;
/// Where a step begins, in blocks.
pub(crate) const BEGAN: u64 = 1000;

/// What a side does in a block.
#[derive(Debug, Clone)]
pub(crate) struct Doing {
    pub(crate) requests: u32,
    pub(crate) errors: u32,
    /// The bins of its times, in turn; eight to each doubling, 0 ends at 1 s.
    pub(crate) bins: Vec<i16>,
}

impl Doing {
    pub(crate) fn new(requests: u32, errors: u32) -> Self {
        Self {
            requests,
            errors,
            bins: vec![-32, -30, -28, -26, -24, -22, -20, -18, -16, -14],
        }
    }

    /// Its times moved up by so many bins.
    pub(crate) fn slower(mut self, by: i16) -> Self {
        self.bins.iter_mut().for_each(|bin| *bin += by);
        self
    }

    /// Every request of another client.
    fn side(&self, block: u64) -> Side {
        let mut side = Side::default();
        // So that it is not always the same clients who fail or are slow.
        let first = block.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        for request in 0..self.requests {
            let cell = side.cell(first.wrapping_add(u64::from(request)));
            cell.requests += 1;
            cell.errors += u32::from(request < self.errors);
            let at = request as usize % self.bins.len();
            cell.times.add(Bin::new(self.bins[at]), 1);
        }
        side
    }
}

pub(crate) fn block(at: u64, service: &Doing, monolith: &Doing) -> Reading<Block> {
    let moment = |block: u64| Moment::from_millis((BEGAN + block) * BLOCK_MILLIS);
    Reading::Value(Block {
        began: moment(at),
        ended: moment(at + 1),
        service: service.side(at),
        monolith: monolith.side(at + 7),
    })
}

pub(crate) fn judge(condition: &Condition) -> Judge {
    let began = Moment::from_millis(BEGAN * BLOCK_MILLIS);
    Judge::new(condition, began, BLOCK, Confidence::default()).expect("can be judged")
}

pub(crate) fn errors() -> Judge {
    judge(&Condition::ErrorsVersusMonolith { allowed: 0.1 })
}

pub(crate) fn p95() -> Judge {
    judge(&Condition::LatencyVersusMonolith {
        quantile: 0.95,
        allowed: 0.1,
    })
}

/// The same in each block of a time.
pub(crate) fn go_on(
    judge: &mut Judge,
    blocks: std::ops::Range<u64>,
    service: &Doing,
    monolith: &Doing,
) -> Verdict {
    for at in blocks {
        judge.observe(&block(at, service, monolith));
    }
    judge.verdict()
}

pub(crate) fn is_open(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::NeedMore { have, need, .. } if have < need)
}

pub(crate) fn passes(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Pass { .. })
}

pub(crate) fn fails(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Fail { .. })
}
