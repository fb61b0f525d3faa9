//! Draws schedules: a seed says everything.

use crate::{moves::Move, steps::Finding};
use protocol::{Side, rollout::Verdict};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Moves of one schedule.
pub const MOVES: usize = 1_200;

/// What may go wrong in a schedule, by its seed. Some are calm: what they are about would
/// never be reached otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Climate(u64);

impl Climate {
    /// Of a hundred moves that may be a fault, how many are: calls that are lost, doubled
    /// and late, processes that die, databases that are slow.
    fn faults(self) -> u32 {
        [0, 10, 30, 100][usize::try_from(self.0 % 4).unwrap_or(0)]
    }

    /// Whether gateways are cut off, and die.
    fn gateways(self) -> bool {
        (self.0 / 4).is_multiple_of(3)
    }

    /// Whether a second conductor comes, and databases are cut off from one of them.
    pub fn second(self) -> bool {
        (self.0 / 12).is_multiple_of(3)
    }

    /// Whether the extraction is cancelled and started again.
    fn lives(self) -> bool {
        (self.0 / 36).is_multiple_of(3)
    }

    /// Whether the steps of the plan are gone through.
    fn steps(self) -> bool {
        (self.0 / 108).is_multiple_of(2)
    }

    /// Whether no request may be refused by a fence: whoever routes is in touch, and
    /// nobody else writes.
    pub fn is_smooth(self) -> bool {
        !self.gateways() && !self.second() && !self.lives()
    }
}

/// A schedule: moves, and which of the plans' schedules is gone through.
#[derive(Debug, Clone)]
pub struct Schedule {
    pub climate: Climate,
    pub steps: usize,
    pub moves: Vec<Move>,
}

struct Dice(ChaCha8Rng);

impl Dice {
    fn below(&mut self, bound: u32) -> u32 {
        self.0.random_range(0..bound)
    }

    fn one(&mut self) -> u8 {
        u8::try_from(self.below(240)).unwrap_or(0)
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    fn side(&mut self) -> Side {
        Side::BOTH[usize::from(self.chance(50))]
    }
}

/// The schedule of a seed.
pub fn drawn(seed: u64) -> Schedule {
    let climate = Climate(seed);
    let mut dice = Dice(ChaCha8Rng::seed_from_u64(seed));
    let steps = usize::from(dice.one()) % crate::steps::schedules().len();
    let moves = (0..MOVES).map(|_| one(&mut dice, climate)).collect();
    Schedule {
        climate,
        steps,
        moves,
    }
}

fn one(dice: &mut Dice, climate: Climate) -> Move {
    let conductor = u8::from(climate.second() && dice.chance(40));
    let (gateway, follower) = (dice.one() % 3, dice.one());
    match dice.below(1000) {
        0..50 => Move::Write { gateway },
        50..60 => Move::Background,
        60..85 => Move::Shared {
            side: dice.side(),
            what: dice.one(),
        },
        85..255 => Move::Transaction {
            which: dice.one(),
            heard: climate.faults() == 0 || dice.chance(95),
        },
        255..335 => Move::Receive { follower },
        335..415 => Move::Apply { follower },
        415..430 => Move::Confirm { follower },
        430..540 => Move::Hear {
            conductor,
            gateway,
            late: climate.gateways() && dice.chance(10),
        },
        540..640 => Move::Acknowledge { conductor, gateway },
        640..680 => Move::Ready { conductor },
        680..760 => Move::Send { conductor },
        760..860 => Move::Deliver {
            call: dice.one(),
            again: climate.faults() > 0 && dice.chance(15),
            lost: climate.faults() > 0 && dice.chance(15),
        },
        860..870 if climate.lives() => Move::Cancel { conductor },
        870..885 if climate.lives() => Move::Start { conductor },
        860..925 if climate.steps() => step(dice, conductor),
        860..895 => Move::HandOver { conductor },
        895..902 => Move::Rehearse { conductor },
        902..905 => Move::Abort { conductor },
        905..925 => Move::Start { conductor },
        _ => fault(dice, climate, conductor, gateway),
    }
}

fn step(dice: &mut Dice, conductor: u8) -> Move {
    match dice.below(65) {
        0..20 => Move::Turn { conductor },
        20..32 => Move::Act { conductor },
        32..42 => Move::Hours {
            hours: dice.one() % 4,
        },
        42..48 => Move::GateFinds {
            gate: dice.one(),
            found: Finding {
                verdict: match dice.below(8) {
                    0 => Verdict::Fail,
                    1 => Verdict::Unknown,
                    2 => Verdict::NeedMore,
                    _ => Verdict::Pass,
                },
                is_dry_run: dice.chance(25),
            },
        },
        48..52 => Move::Resume {
            conductor,
            back: dice.one() % 3,
        },
        52..56 => Move::Approve { conductor },
        56 => Move::Halt {
            conductor,
            on: true,
        },
        57..59 => Move::Halt {
            conductor,
            on: false,
        },
        59 => Move::Pause { conductor },
        60 => Move::Shift {
            conductor,
            percent: dice.one() % 101,
        },
        61 => Move::HandOver { conductor },
        62 => Move::Withheld {
            is: dice.chance(20),
        },
        63 => Move::Awaiting {
            is: dice.chance(20),
        },
        _ => Move::Start { conductor },
    }
}

fn fault(dice: &mut Dice, climate: Climate, conductor: u8, gateway: u8) -> Move {
    let calm = Move::Send { conductor };
    if dice.below(100) >= climate.faults() {
        return calm;
    }
    match dice.below(100) {
        0..12 => Move::Crash {
            conductor,
            journal_lost: dice.chance(8),
        },
        12..18 => Move::GiveUp { conductor },
        18..24 => Move::Lose {
            call: dice.one(),
            late: dice.chance(70),
        },
        24..27 => Move::Deadline { conductor },
        27..31 => Move::HoldExpires { gateway },
        31..36 => Move::Slow {
            side: dice.side(),
            moves: dice.one(),
        },
        36..42 => Move::Reconnect {
            follower: dice.one(),
        },
        42..54 if climate.gateways() => match dice.below(6) {
            0 => Move::GatewayDies { gateway },
            1 => Move::CutGateway { conductor, gateway },
            2 => Move::MendGateway { gateway },
            3 => Move::LeaseEnds { gateway },
            _ => Move::LeaseCounted { conductor, gateway },
        },
        54..66 if climate.second() => match dice.below(9) {
            8 => Move::Beat { conductor },
            0..3 => Move::Second {
                back: dice.chance(70).then(|| dice.one() % 60),
            },
            3 => Move::CutDatabase {
                conductor,
                side: dice.side(),
            },
            4 => Move::CutGateway { conductor, gateway },
            5 => Move::MendGateway { gateway },
            _ => Move::MendDatabase { conductor },
        },
        66..85 => Move::Late { call: dice.one() },
        _ => calm,
    }
}
