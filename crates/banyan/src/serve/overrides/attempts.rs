//! Requests that are repeated until an extraction is in a state that allows
//! them, and given up after some failures.

use async_trait::async_trait;
use conductor::{
    Request, RequestError, Shift, Waived, Worker, ports::Predecessor, status::ExtractionStatus,
};
use plan::Percent;
use protocol::lifecycle::Rejection;
use std::time::Duration;

/// How long is waited, and how often tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Between two looks at what an extraction is doing.
    look: Duration,
    /// How many such looks at an earlier process go by from one warning to the next.
    looks_per_warning: u32,
    /// After what failed.
    pause: Duration,
    /// Each try of a rollback may hold writes for as long as the plan allows.
    tries: u32,
}

pub(super) const PACE: Pace = Pace {
    look: Duration::from_secs(1),
    looks_per_warning: 60,
    pause: Duration::from_secs(5),
    tries: 5,
};

/// Nobody is there who could say that it may do without something.
const ROLL_BACK: Request = Request::RollBack(Waived {
    proof: false,
    health: false,
});

/// An extraction of which something is asked.
#[async_trait]
pub(super) trait Subject: Send + Sync {
    async fn request(&self, request: Request) -> Result<ExtractionStatus, RequestError>;
    fn phase(&self) -> String;
}

#[async_trait]
impl Subject for Worker {
    async fn request(&self, request: Request) -> Result<ExtractionStatus, RequestError> {
        Self::request(self, request).await.map(|reply| reply.status)
    }

    fn phase(&self) -> String {
        self.status().phase
    }
}

/// Whether something can be asked of it now.
fn is_owned(phase: &str) -> bool {
    matches!(phase, "following" | "switched" | "shared")
}

/// Whether all of it is the monolith's without anything being asked.
fn has_not_begun(phase: &str) -> bool {
    matches!(phase, "planned" | "preparing" | "copying" | "cancelling")
}

/// Whether nothing can be asked of it any more: the service has it for good.
fn has_ended(phase: &str) -> bool {
    matches!(phase, "finishing" | "finished")
}

/// Shifts now, or as soon as there is something to shift to.
pub(super) async fn shift(
    subject: &impl Subject,
    shift: Shift,
    pace: Pace,
) -> Result<Option<ExtractionStatus>, RequestError> {
    let mut tries = 0;
    loop {
        match subject.request(Request::Shift(shift)).await {
            Ok(status) => return Ok(Some(status)),
            // Not begun, not copied yet, or being handed over.
            Err(RequestError::State(_) | RequestError::SharedData(_))
                if !has_ended(&subject.phase()) =>
            {
                tokio::time::sleep(pace.look).await;
            }
            Err(refused) => {
                tries += 1;
                if tries >= pace.tries {
                    return Err(refused);
                }
                tokio::time::sleep(pace.pause).await;
            }
        }
        while !is_owned(&subject.phase()) {
            tokio::time::sleep(pace.look).await;
        }
    }
}

/// Reads to the monolith, and the writes, too, by a rollback where the service
/// owns. `None`: it has not begun, so that all of it is the monolith's.
///
/// While there are predecessors, they still answer, for a grace which may be longer than
/// ours: no hand-over begins before they have ended, and none is tried.
pub(super) async fn take_back(
    subject: &impl Subject,
    predecessors: impl Fn() -> Vec<Predecessor>,
    pace: Pace,
) -> Result<Option<ExtractionStatus>, RequestError> {
    let mut tries = 0;
    loop {
        let refused = match subject.request(Request::Withdraw).await {
            Ok(status) => return Ok(Some(status)),
            // The service owns: its readers first, then its writers.
            Err(RequestError::State(Rejection::NotWithdrawn)) => {
                let reads = Request::Shift(Shift::Reads(Percent::ZERO));
                if let Err(refused) = subject.request(reads).await {
                    tracing::warn!(%refused, "the reads stay until the rollback");
                }
                alone(&predecessors, pace, |earlier| {
                    tracing::warn!(
                        pid = earlier.pid, %earlier,
                        "the rollback waits for an earlier process"
                    );
                })
                .await;
                match subject.request(ROLL_BACK).await {
                    Ok(status) if status.writes_stay() => return Ok(Some(status)),
                    Ok(status) => {
                        let why = status.last_handover.and_then(|handover| handover.reason);
                        let why = why.unwrap_or_else(|| "it was aborted".to_owned());
                        RequestError::Failed(format!("the rollback was not done: {why}"))
                    }
                    Err(refused) => refused,
                }
            }
            Err(refused) => refused,
        };
        let phase = subject.phase();
        if has_not_begun(&phase) {
            return Ok(None);
        }
        if let RequestError::State(_) = refused
            && !is_owned(&phase)
            && !has_ended(&phase)
        {
            // A hand-over is under way; its end decides what there is to do.
            tokio::time::sleep(pace.look).await;
            continue;
        }
        tries += 1;
        if tries >= pace.tries {
            return Err(refused);
        }
        tokio::time::sleep(pace.pause).await;
    }
}

/// Waits until there is no earlier process any more; warns of one at once, and again
/// and again.
async fn alone(
    predecessors: impl Fn() -> Vec<Predecessor>,
    pace: Pace,
    warn: impl Fn(&Predecessor),
) {
    let mut looks = 0;
    while let Some(earlier) = predecessors().first() {
        if looks % pace.looks_per_warning == 0 {
            warn(earlier);
        }
        looks += 1;
        tokio::time::sleep(pace.look).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    const FAST: Pace = Pace {
        look: Duration::from_millis(1),
        looks_per_warning: 40,
        pause: Duration::from_millis(1),
        tries: 3,
    };

    fn percent(text: &str) -> Percent {
        Percent::parse(text).unwrap()
    }

    /// An extraction that answers as it is told, in order.
    struct Scripted {
        phases: Mutex<Vec<&'static str>>,
        answers: Mutex<Vec<Result<&'static str, RequestError>>>,
        requested: Mutex<Vec<Request>>,
    }

    impl Scripted {
        fn new(
            phases: &[&'static str],
            answers: impl IntoIterator<Item = Result<&'static str, RequestError>>,
        ) -> Self {
            let mut phases = phases.to_vec();
            let mut answers: Vec<_> = answers.into_iter().collect();
            phases.reverse();
            answers.reverse();
            Self {
                phases: Mutex::new(phases),
                answers: Mutex::new(answers),
                requested: Mutex::default(),
            }
        }

        fn requested(&self) -> Vec<Request> {
            self.requested.lock().unwrap().clone()
        }
    }

    #[async_trait]
    impl Subject for Scripted {
        async fn request(&self, request: Request) -> Result<ExtractionStatus, RequestError> {
            self.requested.lock().unwrap().push(request);
            let answer = self.answers.lock().unwrap().pop();
            answer
                .expect("asked too often")
                .map(|owner| ExtractionStatus {
                    owner: owner.to_owned(),
                    ..ExtractionStatus::default()
                })
        }

        fn phase(&self) -> String {
            let mut phases = self.phases.lock().unwrap();
            let last = phases.last().copied().unwrap_or("following");
            if phases.len() > 1 {
                phases.pop();
            }
            last.to_owned()
        }
    }

    fn not_now() -> RequestError {
        RequestError::State(protocol::lifecycle::Rejection::WrongState {
            state: "copying",
            remedy: "wait",
        })
    }

    fn failed() -> RequestError {
        RequestError::Failed("no".to_owned())
    }

    /// What a withdrawal is told once the service owns.
    fn switched() -> RequestError {
        RequestError::State(Rejection::NotWithdrawn)
    }

    const READS: Request = Request::Shift(Shift::Reads(Percent::ZERO));

    #[tokio::test]
    async fn the_share_waits_until_there_is_something_to_read_from() {
        let subject = Scripted::new(
            &["planned", "copying", "following"],
            [Err(not_now()), Ok("monolith")],
        );
        let five = Shift::Reads(percent("5%"));
        assert!(shift(&subject, five, FAST).await.unwrap().is_some());
        assert_eq!(subject.requested(), [Request::Shift(five); 2]);
        let broken = Scripted::new(&["following"], (0..3).map(|_| Err(failed())));
        assert!(shift(&broken, five, FAST).await.is_err());
    }

    #[tokio::test]
    async fn what_the_service_owns_is_rolled_back() {
        let reads = Request::Withdraw;
        let before = Scripted::new(&["following"], [Ok("monolith")]);
        assert!(take_back(&before, Vec::new, FAST).await.unwrap().is_some());
        assert_eq!(before.requested(), [reads]);
        let answers = [Err(switched()), Ok("service"), Ok("monolith")];
        let after = Scripted::new(&["switched"], answers);
        assert!(take_back(&after, Vec::new, FAST).await.unwrap().is_some());
        assert_eq!(after.requested(), [reads, READS, ROLL_BACK]);
        // Aborted once, and under way when it is looked at.
        let aborted = Scripted::new(
            &["switched", "switching", "switched"],
            [
                Err(switched()),
                Ok("service"),
                Ok("service"),
                Err(not_now()),
                Err(switched()),
                Ok("service"),
                Ok("monolith"),
            ],
        );
        assert!(take_back(&aborted, Vec::new, FAST).await.unwrap().is_some());
        assert_eq!(
            aborted.requested(),
            [reads, READS, ROLL_BACK, reads, reads, READS, ROLL_BACK]
        );
    }

    #[tokio::test]
    async fn a_rollback_waits_for_an_earlier_process_however_long_that_takes() {
        let subject = Scripted::new(
            &["switched"],
            [Err(switched()), Ok("service"), Ok("monolith")],
        );
        let looks = std::cell::Cell::new(0);
        let predecessors = || {
            looks.set(looks.get() + 1);
            assert_eq!(subject.requested(), [Request::Withdraw, READS]);
            earlier(looks.get() <= 100)
        };
        let taken = take_back(&subject, predecessors, FAST).await;
        assert!(taken.unwrap().is_some());
        assert_eq!(subject.requested(), [Request::Withdraw, READS, ROLL_BACK]);
    }

    fn earlier(is_there: bool) -> Vec<Predecessor> {
        let one = Predecessor {
            pid: 7,
            requests: 0,
            streams: 1,
            seconds_left: None,
        };
        is_there.then_some(one).into_iter().collect()
    }

    #[tokio::test]
    async fn who_waits_for_an_earlier_process_says_so_at_once_and_again() {
        let looks = std::cell::Cell::new(0);
        let warned = std::cell::RefCell::new(Vec::new());
        let predecessors = || {
            looks.set(looks.get() + 1);
            earlier(looks.get() <= 100)
        };
        let warn = |earlier: &Predecessor| warned.borrow_mut().push((looks.get(), earlier.pid));
        alone(predecessors, FAST, warn).await;
        assert_eq!(*warned.borrow(), [(1, 7), (41, 7), (81, 7)]);
    }

    #[tokio::test]
    async fn what_has_not_begun_is_left_alone_and_what_fails_is_given_up() {
        let planned = Scripted::new(&["planned"], [Err(not_now())]);
        assert!(take_back(&planned, Vec::new, FAST).await.unwrap().is_none());
        let answers = (0..3).flat_map(|_| [Err(switched()), Ok("service"), Err(failed())]);
        let broken = Scripted::new(&["switched"], answers);
        assert!(take_back(&broken, Vec::new, FAST).await.is_err());
        assert_eq!(broken.requested().len(), 9);
        // The service has it for good.
        let answers = (0..3).map(|_| Err(not_now()));
        let finished = Scripted::new(&["finished"], answers);
        assert!(take_back(&finished, Vec::new, FAST).await.is_err());
    }
}
