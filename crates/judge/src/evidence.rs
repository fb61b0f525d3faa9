//! Evidence against one hypothesis, valid whenever it is looked at.
//!
//! An e-process: under the hypothesis its expectation is never above 1, so that
//! it reaches `1 / alpha` with a probability of at most `alpha`, however often one
//! looks (Ville 1939). It is the mean of two:
//!
//! - *Request by request*: the mean, over a fixed set of alternatives, of
//!   likelihood ratios that multiply up block by block, each raised to the power
//!   `1 / dispersion` (as Rao and Scott divide counts: "A simple method for the
//!   analysis of clustered binary data", Biometrics 1992). Where no two errors are
//!   of one client or of one moment, the dispersion is 1 and this is exact, at
//!   counts as small as any.
//! - *Part by part*: `exp(l S - l^2 V / 2)` of the score `S` and the squares `V` of
//!   its parts by client and by time, over a fixed set of `l` (de la Peña: "A
//!   general class of exponential inequalities for martingales and ratios", Annals
//!   of Probability 1999). Where everything fails at once it needs so many bad
//!   batches, and no more.
//!
//! With likeness both are asymptotic in the number of clients and batches
//! (Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas: "Time-uniform central limit
//! theory and asymptotic confidence sequences", Annals of Statistics 2024).
//! Likeness that lasts (a client that fails more often all day) does not harm: a
//! score whose variance grows faster than time wanders less, for its variance,
//! than that of independent requests, which the bound is made for (Slepian's
//! inequality).

use crate::{
    dispersion::{Dispersion, Parts},
    reading::Moment,
    verdict::Totals,
};
use serde::{Deserialize, Serialize};

/// How many alternatives the likelihood ratios are of.
pub(crate) const ALTERNATIVES: usize = 12;

/// `l` of the evidence part by part: the largest, and each half of the one before.
/// The best is one over the score of a part, which may be that of a million requests.
const LARGEST_SLOPE: f64 = 4.0;
const SLOPES: i32 = 28;

/// More evidence than any test asks for, by far.
const LOG_MAX: f64 = 1e15;

/// On which side of the hypothesis the alternatives are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Towards {
    /// The service is worse: evidence to fail.
    Worse,
    /// It is better: evidence to pass.
    Better,
}

impl Towards {
    /// Of a score that is above 0 where the service is worse.
    pub(crate) fn sign(self) -> f64 {
        match self {
            Self::Worse => 1.0,
            Self::Better => -1.0,
        }
    }
}

/// Whether it is chance which clients the service has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Clients {
    /// They were drawn, and are compared with others: what lasts of their
    /// differences is not the service's.
    Drawn,
    /// A limit is for those that there are, one or many.
    Given,
}

/// What a block adds.
#[derive(Debug, Clone)]
pub(crate) struct Increment {
    /// Logarithm of the likelihood ratio of each alternative.
    pub(crate) log_ratios: [f64; ALTERNATIVES],
    /// The score's variance that the likelihood takes for granted.
    pub(crate) assumed: f64,
    /// That of independent requests, under the hypothesis.
    pub(crate) independent: f64,
    /// The squares of the parts of single requests.
    pub(crate) squares: f64,
    pub(crate) parts: Parts,
    pub(crate) counted: Counted,
}

/// What was counted, for whoever reads why.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Counted {
    pub(crate) service: Totals,
    pub(crate) monolith: Totals,
    /// Sums whose ratio estimates by how much the service is worse.
    pub(crate) numerator: f64,
    pub(crate) denominator: f64,
}

impl Counted {
    fn add(&mut self, other: &Self) {
        self.service.add(other.service);
        self.monolith.add(other.monolith);
        self.numerator += other.numerator;
        self.denominator += other.denominator;
    }
}

/// The evidence of all blocks since a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Evidence {
    towards: Towards,
    clients: Clients,
    since: Option<Moment>,
    log_ratios: [f64; ALTERNATIVES],
    assumed: f64,
    independent: f64,
    squares: f64,
    dispersion: Dispersion,
    counted: Counted,
}

impl Evidence {
    pub(crate) fn new(towards: Towards, clients: Clients) -> Self {
        Self {
            towards,
            clients,
            since: None,
            log_ratios: [0.0; ALTERNATIVES],
            assumed: 0.0,
            independent: 0.0,
            squares: 0.0,
            dispersion: Dispersion::default(),
            counted: Counted::default(),
        }
    }

    /// The same without any blocks.
    pub(crate) fn anew(&self) -> Self {
        Self::new(self.towards, self.clients)
    }

    pub(crate) fn add(&mut self, began: Moment, increment: &Increment) {
        self.since.get_or_insert(began);
        for (sum, ratio) in self.log_ratios.iter_mut().zip(increment.log_ratios) {
            // What is not a number could not be stored, and would stay.
            if ratio.is_finite() {
                *sum = (*sum + ratio).clamp(-LOG_MAX, LOG_MAX);
            }
        }
        self.assumed += increment.assumed;
        self.independent += increment.independent;
        self.squares += increment.squares;
        self.dispersion.add(&increment.parts);
        self.counted.add(&increment.counted);
    }

    pub(crate) fn since(&self) -> Option<Moment> {
        self.since
    }

    pub(crate) fn counted(&self) -> &Counted {
        &self.counted
    }

    /// By how much requests count less than the likelihood takes them for; less
    /// than 1 where it knows that they count more.
    pub(crate) fn dispersion(&self) -> f64 {
        if self.independent <= 0.0 {
            return 1.0;
        }
        let of = &self.dispersion;
        // A client is on the service as often as a request, so its burst is as one
        // request. A moment is any side's as often as the other's.
        let bursts = (of.by_both() - self.squares).max(0.0);
        let clients = (self.by_client() - of.by_both()).max(0.0);
        let moments = (of.by_time() - of.by_both()).max(0.0);
        let likeness =
            (bursts + clients) / self.squares.max(self.independent) + moments / self.independent;
        (1.0 + likeness) * self.independent / self.assumed
    }

    /// The logarithm of the e-value.
    pub(crate) fn log(&self) -> f64 {
        let requests = mean_of_exponentials(self.powers());
        let parts = mean_of_exponentials(self.by_parts());
        mean_of_exponentials([requests, parts].into_iter())
    }

    /// About how many requests it takes until the evidence is `wanted`, if they
    /// go on as these `have`. None where these point nowhere.
    pub(crate) fn requests_until(&self, wanted: f64, have: f64) -> Option<f64> {
        let growth = self.powers().chain(self.by_parts()).fold(0.0, f64::max);
        let gap = (wanted - self.log()).max(0.0);
        (growth > 0.1).then(|| have * (1.0 + gap / growth))
    }

    fn by_client(&self) -> f64 {
        match self.clients {
            Clients::Drawn => self.dispersion.by_client(),
            Clients::Given => self.dispersion.by_both(),
        }
    }

    fn powers(&self) -> impl Iterator<Item = f64> + Clone {
        let dispersion = self.dispersion();
        let ratios = self.log_ratios.iter();
        ratios.map(move |ratio| ratio / dispersion)
    }

    fn by_parts(&self) -> impl Iterator<Item = f64> + Clone {
        let score = self.dispersion.score() * self.towards.sign();
        let of = &self.dispersion;
        let (clients, time) = (self.by_client(), of.by_time());
        let all = clients + time - of.by_both();
        let squares = clients.max(time).max(all).max(self.independent);
        (0..SLOPES).map(move |halved| {
            let slope = LARGEST_SLOPE / f64::from(halved).exp2();
            slope * score - slope * slope * squares / 2.0
        })
    }
}

/// The logarithm of the mean of those whose logarithms these are.
fn mean_of_exponentials(logs: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = logs.clone().fold(f64::MIN, f64::max);
    let (sum, count) = logs.fold((0.0, 0.0), |(sum, count), log| {
        (sum + (log - largest).exp(), count + 1.0)
    });
    largest + (sum / count).ln()
}
