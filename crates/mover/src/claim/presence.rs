//! A conductor's place on a side: one session that holds a lock of the
//! extraction's, and beats.
//!
//! Whoever finds the lock taken looks whether its holder beats. One that does is
//! alive and stays. One that has not for [`SILENCE`] has vanished without its
//! sockets being closed: its session is ended, and the lock is free. A process
//! that was killed on a host that lives has given it up already.
//!
//! The place keeps a second conductor from disturbing a healthy one. It decides
//! nothing: the rows do, and they refuse whoever was superseded.

use crate::{
    database::session::Session,
    error::MoverError,
    extraction::Mover,
    layout::PRESENCE_CLASS,
    objects::{owner, sessions},
};
use protocol::Side;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Between two beats.
const BEAT: Duration = Duration::from_secs(1);

/// How long one beat, or the goodbye, may take.
const BEAT_LIMIT: Duration = Duration::from_secs(3);

/// So many beats are seen of who is alive; one that stops just now has none left.
const BEATS_OF_THE_LIVING: u32 = 3;

/// The longest that a holder may be silent.
const SILENCE: Duration = Duration::from_secs(10);

/// How often the lock is tried.
const LOOK: Duration = Duration::from_millis(100);

/// How long a session that was ended may take to be gone.
const END_LIMIT: Duration = Duration::from_secs(10);

/// A place that is held until this is ended or dropped. A session that is lost
/// is made again.
#[derive(Debug)]
pub struct Presence {
    leaving: CancellationToken,
    displaced: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Presence {
    /// Whether the place was lost, and a living one has it now.
    pub fn is_displaced(&self) -> bool {
        self.displaced.load(Ordering::Relaxed)
    }

    /// Gives the place up, so that another may have it at once.
    pub async fn end(mut self) {
        self.leaving.cancel();
        // What is left then ends with the task, by its drop.
        drop(timeout(BEAT_LIMIT, &mut self.task).await);
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Mover {
    /// Takes a conductor's place on a side. Waits for a holder that is about to
    /// go, or that is silent, for [`SILENCE`] and [`END_LIMIT`] at most.
    pub async fn take_place(&self, side: Side) -> Result<Presence, MoverError> {
        let session = self.place(side).await?;
        let leaving = CancellationToken::new();
        let displaced = Arc::new(AtomicBool::new(false));
        let (mover, stop, lost) = (self.clone(), leaving.clone(), Arc::clone(&displaced));
        let task = tokio::spawn(async move {
            let mut session = session;
            while beats(&session, &stop).await {
                tracing::warn!(%side, "the session that shows who is in charge was lost");
                session = tokio::select! {
                    session = mover.place_again(side, &lost) => session,
                    () = stop.cancelled() => return,
                };
            }
            let unlock = session.batch_execute("select pg_advisory_unlock_all()");
            drop(timeout(BEAT_LIMIT, unlock).await);
        });
        Ok(Presence {
            leaving,
            displaced,
            task,
        })
    }

    async fn place(&self, side: Side) -> Result<Session, MoverError> {
        let session = Session::open(side, self.database(side)).await?;
        let key = self.layout().advisory_key();
        let wrap = || MoverError::sql(side, "looking who is in charge");
        let began = Instant::now();
        let mut observed: Option<Observation> = None;
        loop {
            let row = session
                .query_one(
                    "select pg_try_advisory_lock($1, $2)",
                    &[&PRESENCE_CLASS, &key],
                )
                .await
                .map_err(wrap())?;
            if row.get(0) {
                return Ok(session);
            }
            if let Some(holder) = sessions::presence(&session, key).await? {
                let now = Instant::now();
                let observation = match observed.take() {
                    Some(observation) if observation.pid == holder.pid => observation,
                    _ => Observation::begin(holder.pid, now),
                };
                match observed.insert(observation).look(holder.beat.clone(), now) {
                    Sign::Alive => return Err(self.in_charge(&session, &holder.who).await),
                    Sign::Silent => {
                        tracing::warn!(%side, holder = holder.who, "ended a silent predecessor");
                        sessions::end(&session, holder.pid).await?;
                    }
                    Sign::NotYet => {}
                }
            }
            if began.elapsed() > SILENCE + END_LIMIT {
                return Err(MoverError::Deadline {
                    side,
                    doing: "ending the session of a silent predecessor",
                    limit: SILENCE + END_LIMIT,
                });
            }
            sleep(LOOK).await;
        }
    }

    /// For as long as it takes: who was superseded meanwhile hears of it from the
    /// rows, and drops this.
    async fn place_again(&self, side: Side, displaced: &AtomicBool) -> Session {
        loop {
            let placed = self.place(side).await;
            let is_displaced = matches!(placed, Err(MoverError::InCharge { .. }));
            displaced.store(is_displaced, Ordering::Relaxed);
            match placed {
                Ok(session) => return session,
                Err(error) => tracing::debug!(%side, %error, "the place is not had again yet"),
            }
            sleep(BEAT).await;
        }
    }

    async fn in_charge(&self, session: &Session, who: &str) -> MoverError {
        let (side, extraction) = (session.side(), &self.extraction.name);
        let conductor = match owner::read(&**session, side, extraction).await {
            Ok(Some(row)) => format!(", conductor {} ({})", row.conductor, row.generation),
            Ok(None) | Err(_) => String::new(),
        };
        MoverError::InCharge {
            extraction: extraction.clone(),
            who: format!("at the {side}'s database {who}{conductor}"),
        }
    }
}

/// Beats until the session is lost (true), or the place is given up (false).
async fn beats(session: &Session, stop: &CancellationToken) -> bool {
    loop {
        tokio::select! {
            () = stop.cancelled() => return false,
            () = sleep(BEAT) => {}
        }
        let beat = session.simple_query("select");
        match timeout(BEAT_LIMIT, beat).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return true,
        }
    }
}

/// What has been seen of a holder.
#[derive(Debug)]
struct Observation {
    pid: i32,
    /// When it was first seen, or seen to beat.
    since: Instant,
    /// When its last statement began, if that may be seen.
    beat: Option<String>,
    beats: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Alive,
    Silent,
    NotYet,
}

impl Observation {
    fn begin(pid: i32, now: Instant) -> Self {
        Self {
            pid,
            since: now,
            beat: None,
            beats: 0,
        }
    }

    fn look(&mut self, beat: Option<String>, now: Instant) -> Sign {
        if self.beat.is_some() && beat.is_some() && self.beat != beat {
            self.beats += 1;
            self.since = now;
        }
        let hidden = beat.is_none();
        self.beat = beat;
        if self.beats >= BEATS_OF_THE_LIVING {
            Sign::Alive
        } else if now.duration_since(self.since) < SILENCE {
            Sign::NotYet
        } else if hidden {
            // Another role's: nobody can say that it is dead.
            Sign::Alive
        } else {
            Sign::Silent
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signs(beat: impl Fn(u64) -> Option<String>) -> Vec<(u64, Sign)> {
        let began = Instant::now();
        let mut observed = Observation::begin(1, began);
        let mut signs = vec![(0, Sign::NotYet)];
        for second in 0..20 {
            let sign = observed.look(beat(second), began + Duration::from_secs(second));
            if signs.last().is_some_and(|(_, last)| *last != sign) {
                signs.push((second, sign));
            }
        }
        signs
    }

    #[test]
    fn who_beats_is_alive_and_who_does_not_is_silent_later() {
        let alive = signs(|second| Some(second.to_string()));
        assert_eq!(alive, [(0, Sign::NotYet), (3, Sign::Alive)]);
        let silent = signs(|_| Some("then".to_owned()));
        assert_eq!(silent, [(0, Sign::NotYet), (10, Sign::Silent)]);
        // Beat once more after it was first seen, and no more.
        let last = signs(|second| Some(second.min(1).to_string()));
        assert_eq!(last, [(0, Sign::NotYet), (11, Sign::Silent)]);
        assert_eq!(signs(|_| None), [(0, Sign::NotYet), (10, Sign::Alive)]);
    }
}
