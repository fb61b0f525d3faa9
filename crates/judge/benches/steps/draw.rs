//! Draws the traffic of one step of a rollout.
//!
//! It was written before what is tried with it, to be as unkind as traffic is:
//!
//! - *Clients differ*: how busy they are (log-normal, the busiest of 10,000 some
//!   hundred times the middle), how often their requests fail (log-normal, sigma
//!   0.7) and how slow they are (sigma 0.3). Each stays on one side for the step.
//! - *Bursts*: requests come in sessions of 8 on the average within some seconds, of
//!   one client, with a slowness of their own. Four errors of ten are of bad
//!   sessions, in which three requests of ten fail.
//! - *A daily cycle* of each client, by a factor of 9, with phases that differ by
//!   hours; times grow with the load.
//! - *Incidents of both sides* (the database they share): 6 a day, of 3 minutes on
//!   the average, that fail one request of a hundred and slow all by a half.
//! - *Hiccups of one side* (a collector, an instance that restarts), an hour
//!   apart on the average on each side by itself, of 5 to 20 seconds, that fail
//!   one request of fifty and make all three times as slow.
//! - *Times* are log-normal (sigma 0.6), with one request of a hundred five times
//!   as slow.

use judge::{Bin, Block, Moment, Reading, Side};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{collections::VecDeque, time::Duration};

/// How much traffic there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Level {
    pub(crate) name: &'static str,
    pub(crate) requests_per_second: f64,
    /// Of the clients, on the service.
    pub(crate) share: f64,
    pub(crate) clients: usize,
    /// How long blocks are: a minute, or a part of it.
    pub(crate) block: Duration,
}

/// How the service differs from the monolith.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Difference {
    /// Times as many errors.
    pub(crate) errors: f64,
    /// Times as slow.
    pub(crate) latency: f64,
}

impl Difference {
    pub(crate) const NONE: Self = Self {
        errors: 1.0,
        latency: 1.0,
    };
}

/// Of requests outside incidents and hiccups, which bring it to 0.12 %.
const ERROR_RATE: f64 = 0.001;
const MINUTE: Duration = Duration::from_mins(1);
pub(crate) const MINUTES_PER_DAY: u64 = 24 * 60;

const SESSION_REQUESTS: f64 = 8.0;
const OF_BAD_SESSIONS: f64 = 0.4;
const FAIL_IN_BAD_SESSION: f64 = 0.3;
const DAILY: f64 = 0.8;
/// Of times, in bins: eighths of a doubling.
const MEDIAN: f64 = -37.0; // 40 ms
const NOISE: usize = 4096;

fn bins(factor: f64) -> f64 {
    factor.log2() * 8.0
}

/// The same of a factor's logarithm.
fn bins_of_log(log: f64) -> f64 {
    log * std::f64::consts::LOG2_E * 8.0
}

struct Client {
    on_service: bool,
    cell: u64,
    errors: f64,
    bins: f64,
    /// Of its day, in radians.
    phase: f64,
}

/// What befalls both sides, or one.
#[derive(Default, Clone, Copy)]
struct Incident {
    minutes_left: u32,
}

/// What befalls one side within a minute: from which second until which.
#[derive(Clone, Copy)]
struct Hiccup {
    from: f64,
    until: f64,
}

/// The traffic of a step, block by block.
pub(crate) struct Step {
    random: ChaCha8Rng,
    clients: Vec<Client>,
    /// Walker's table: a client, or the one that shares its place.
    places: Vec<(f64, usize)>,
    sessions_per_minute: f64,
    difference: Difference,
    noise: Vec<f64>,
    incident: Incident,
    minute: u64,
    length: Duration,
    /// Of the minute, those that were not asked for yet.
    blocks: VecDeque<Reading<Block>>,
}

impl Step {
    pub(crate) fn new(level: &Level, difference: Difference, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut weights = Vec::with_capacity(level.clients);
        let clients = (0..level.clients)
            .map(|_| {
                weights.push((1.2 * normal(&mut random)).exp());
                let noon = std::f64::consts::PI;
                Client {
                    on_service: random.random::<f64>() < level.share,
                    cell: random.random(),
                    errors: (0.7 * normal(&mut random) - 0.7 * 0.7 / 2.0).exp(),
                    bins: bins_of_log(0.3 * normal(&mut random)),
                    phase: noon + 0.5 * normal(&mut random),
                }
            })
            .collect();
        let noise = (0..NOISE).map(|_| bins_of_log(0.6 * normal(&mut random)));
        Self {
            noise: noise.collect(),
            places: places(&weights),
            clients,
            sessions_per_minute: level.requests_per_second * MINUTE.as_secs_f64()
                / SESSION_REQUESTS,
            difference,
            incident: Incident::default(),
            minute: 0,
            length: level.block,
            blocks: VecDeque::new(),
            random,
        }
    }

    /// The next block.
    pub(crate) fn block(&mut self) -> Reading<Block> {
        if self.blocks.is_empty() {
            self.draw_minute();
        }
        let next = self.blocks.pop_front();
        next.expect("a minute has blocks")
    }

    fn draw_minute(&mut self) {
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let day = self.minute as f64 / MINUTES_PER_DAY as f64;
        let hour = day * std::f64::consts::TAU;
        self.advance_incident();
        let hiccups = [self.hiccup(), self.hiccup()];
        let length = self.length.as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most sixty"
        )]
        let mut blocks =
            vec![[Side::default(), Side::default()]; (MINUTE.as_secs_f64() / length) as usize];
        // As many as at the busiest time; a client that sleeps sends none.
        let sessions = poisson(&mut self.random, self.sessions_per_minute * (1.0 + DAILY));
        for _ in 0..sessions {
            let client = self.client();
            let activity = 1.0 + DAILY * (hour - self.clients[client].phase).cos();
            if self.random.random::<f64>() * (1.0 + DAILY) < activity {
                let second = self.random.random_range(0.0..MINUTE.as_secs_f64());
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "at most sixty"
                )]
                let sides = &mut blocks[(second / length) as usize];
                let hit = hiccups.map(|of| second >= of.from && second < of.until);
                self.session(client, activity, hit, sides);
            }
        }
        let mut began = self.minute * 60_000;
        self.minute += 1;
        for [service, monolith] in blocks {
            let ended = began + u64::try_from(self.length.as_millis()).unwrap_or(u64::MAX);
            self.blocks.push_back(Reading::Value(Block {
                began: Moment::from_millis(began),
                ended: Moment::from_millis(ended),
                service,
                monolith,
            }));
            began = ended;
        }
    }

    fn client(&mut self) -> usize {
        let at = self.random.random_range(0..self.places.len());
        let (own, other) = self.places[at];
        if self.random.random::<f64>() < own {
            at
        } else {
            other
        }
    }

    fn advance_incident(&mut self) {
        self.incident.minutes_left = self.incident.minutes_left.saturating_sub(1);
        if self.incident.minutes_left == 0 && self.random.random::<f64>() < 6.0 / 1440.0 {
            let minutes = 1.0 - 3.0 * (1.0 - self.random.random::<f64>()).ln();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "some minutes"
            )]
            let minutes = minutes.round() as u32;
            self.incident.minutes_left = minutes;
        }
    }

    /// Of one side, once an hour.
    fn hiccup(&mut self) -> Hiccup {
        let (mut from, mut until) = (0.0, 0.0);
        if self.random.random::<f64>() < 1.0 / 60.0 {
            from = self.random.random_range(0.0..40.0);
            until = from + self.random.random_range(5.0..20.0);
        }
        Hiccup { from, until }
    }

    fn session(&mut self, client: usize, activity: f64, hit: [bool; 2], sides: &mut [Side; 2]) {
        let client = &self.clients[client];
        let side = usize::from(!client.on_service);
        let random = &mut self.random;
        let (mut errors, mut slower) = (ERROR_RATE * client.errors, MEDIAN + client.bins);
        if side == 0 {
            errors *= self.difference.errors;
            slower += bins(self.difference.latency);
        }
        slower += bins_of_log(0.2 * normal(random)) + bins(1.0 + 0.3 * activity);
        let bad = random.random::<f64>() < errors * OF_BAD_SESSIONS / FAIL_IN_BAD_SESSION;
        let mut fails = errors * (1.0 - OF_BAD_SESSIONS);
        if bad {
            fails += FAIL_IN_BAD_SESSION;
        }
        let often = if side == 0 {
            self.difference.errors
        } else {
            1.0
        };
        if self.incident.minutes_left > 0 {
            fails += 0.01 * often;
            slower += bins(1.5);
        }
        if hit[side] {
            fails += 0.02 * often;
            slower += bins(3.0);
        }
        let tail = bins(5.0);
        let cell = sides[side].cell(client.cell);
        // Geometric, at least one.
        let more = (1.0 - random.random::<f64>()).ln() / (1.0 - 1.0 / SESSION_REQUESTS).ln();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "some dozens"
        )]
        let requests = 1 + more as u32;
        for _ in 0..requests {
            // 12 bits for the noise, 20 for the tail, 32 for failing.
            let bits: u64 = random.random();
            #[expect(clippy::cast_possible_truncation, reason = "the lowest bits")]
            let mut time = slower + self.noise[usize::from(bits as u16) % NOISE];
            if bits >> 12 & 0xf_ffff < (1 << 20) / 100 {
                time += tail;
            }
            #[expect(clippy::cast_precision_loss, reason = "32 bits")]
            if ((bits >> 32) as f64) < fails * 4_294_967_296.0 {
                cell.errors += 1;
            }
            #[expect(clippy::cast_possible_truncation, reason = "some hundred bins")]
            cell.times.add(Bin::new(time.ceil() as i16), 1);
        }
        cell.requests += requests;
    }
}

/// By the method of Box and Muller.
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.random::<f64>()).cos()
}

fn poisson(random: &mut ChaCha8Rng, mean: f64) -> u64 {
    if mean > 50.0 {
        let near = mean + mean.sqrt() * normal(random);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative"
        )]
        return near.round().max(0.0) as u64;
    }
    let (mut count, mut product) = (0, random.random::<f64>());
    while product > (-mean).exp() {
        count += 1;
        product *= random.random::<f64>();
    }
    count
}

/// Walker's alias table: drawing by weight in one step.
fn places(weights: &[f64]) -> Vec<(f64, usize)> {
    #[expect(clippy::cast_precision_loss, reason = "some thousand clients")]
    let mean = weights.iter().sum::<f64>() / weights.len() as f64;
    let mut left: Vec<f64> = weights.iter().map(|weight| weight / mean).collect();
    let mut places: Vec<(f64, usize)> = (0..weights.len()).map(|at| (1.0, at)).collect();
    let (mut light, mut heavy): (Vec<usize>, Vec<usize>) =
        (0..weights.len()).partition(|at| left[*at] < 1.0);
    while let (Some(small), Some(large)) = (light.pop(), heavy.last().copied()) {
        places[small] = (left[small], large);
        left[large] -= 1.0 - left[small];
        if left[large] < 1.0 {
            light.extend(heavy.pop());
        }
    }
    places
}
