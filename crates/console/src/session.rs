//! Who is signed in, in memory: a restart signs everybody out.

use crate::secret;
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

/// The most at once; the one that was used longest ago makes room.
const SESSIONS_MAX: usize = 256;

/// How long one lasts that is not used, and any.
const IDLE: Duration = Duration::from_hours(2);
const LIFE: Duration = Duration::from_hours(12);

/// Sign-ins that were made for somebody and not used yet, and how long one lasts.
const INVITATIONS_MAX: usize = 16;
const INVITATION_LIFE: Duration = Duration::from_mins(10);

/// What is shown of what a session has ordered: the last outcome, and those before it that
/// were not as wished, for how long.
const OUTCOMES_MAX: usize = 3;
const OUTCOME_SHOWN: Duration = Duration::from_mins(2);

/// Somebody who is signed in.
#[derive(Debug)]
pub(crate) struct Session {
    /// What the browser shows.
    pub(crate) id: String,
    /// What each form carries: another site's page does not know it.
    pub(crate) csrf: String,
    /// What the API is asked with.
    pub(crate) bearer: Arc<str>,
    /// The name that came with the bearer, where it proves none.
    pub(crate) name: Option<String>,
    outcomes: Mutex<VecDeque<(Instant, Outcome)>>,
}

/// What became of something that was ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) is_done: bool,
    pub(crate) text: String,
}

impl Session {
    /// Keeps what became of an order, for the pages that follow.
    pub(crate) fn note(&self, outcome: Outcome) {
        let mut outcomes = self.outcomes.lock();
        outcomes.retain(|(_, before)| !before.is_done);
        if outcomes.len() == OUTCOMES_MAX {
            outcomes.pop_front();
        }
        outcomes.push_back((Instant::now(), outcome));
    }

    /// What is worth showing still, newest first.
    pub(crate) fn outcomes(&self) -> Vec<Outcome> {
        let outcomes = self.outcomes.lock();
        let fresh = outcomes
            .iter()
            .rev()
            .filter(|(at, _)| at.elapsed() < OUTCOME_SHOWN);
        fresh.map(|(_, outcome)| outcome.clone()).collect()
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    kept: Mutex<Vec<Kept>>,
    invitations: Mutex<VecDeque<Invitation>>,
}

#[derive(Debug)]
struct Kept {
    session: Arc<Session>,
    began: Instant,
    used: Instant,
}

/// A sign-in that was made for somebody else, good once.
#[derive(Debug)]
struct Invitation {
    code: String,
    bearer: Arc<str>,
    name: Option<String>,
    made: Instant,
}

impl Sessions {
    /// Signs in. `None` where there is no randomness.
    pub(crate) fn begin(&self, bearer: Arc<str>, name: Option<String>) -> Option<Arc<Session>> {
        let session = Arc::new(Session {
            id: secret::new()?,
            csrf: secret::new()?,
            bearer,
            name,
            outcomes: Mutex::default(),
        });
        let mut kept = self.kept.lock();
        retain_living(&mut kept);
        if kept.len() >= SESSIONS_MAX
            && let Some(oldest) = (0..kept.len()).min_by_key(|&at| kept[at].used)
        {
            kept.swap_remove(oldest);
        }
        let now = Instant::now();
        kept.push(Kept {
            session: Arc::clone(&session),
            began: now,
            used: now,
        });
        Some(session)
    }

    /// The session that a browser shows, which is used by that.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<Session>> {
        let mut kept = self.kept.lock();
        let at = living(&mut kept, id)?;
        kept[at].used = Instant::now();
        Some(Arc::clone(&kept[at].session))
    }

    /// The same for what a page asks by itself: nobody need be there for that.
    pub(crate) fn peek(&self, id: &str) -> Option<Arc<Session>> {
        let mut kept = self.kept.lock();
        let at = living(&mut kept, id)?;
        Some(Arc::clone(&kept[at].session))
    }

    /// Signs out.
    pub(crate) fn end(&self, session: &Session) {
        let mut kept = self.kept.lock();
        kept.retain(|one| !secret::is_same(&one.session.id, &session.id));
    }

    /// Makes a sign-in that is good once. `None` where there is no randomness.
    pub(crate) fn invite(&self, bearer: Arc<str>, name: Option<String>) -> Option<String> {
        let code = secret::new()?;
        let mut invitations = self.invitations.lock();
        if invitations.len() == INVITATIONS_MAX {
            invitations.pop_front();
        }
        invitations.push_back(Invitation {
            code: code.clone(),
            bearer,
            name,
            made: Instant::now(),
        });
        Some(code)
    }

    /// Uses it up. `None`: it was used, is too old, or never was.
    pub(crate) fn accept(&self, code: &str) -> Option<Arc<Session>> {
        let mut invitations = self.invitations.lock();
        invitations.retain(|one| one.made.elapsed() < INVITATION_LIFE);
        let mut at = None;
        for (index, one) in invitations.iter().enumerate() {
            if secret::is_same(&one.code, code) {
                at = Some(index);
            }
        }
        let invitation = invitations.remove(at?)?;
        drop(invitations);
        self.begin(invitation.bearer, invitation.name)
    }
}

/// Where the session is, if it lasts still.
fn living(kept: &mut Vec<Kept>, id: &str) -> Option<usize> {
    retain_living(kept);
    let mut found = None;
    // All of them, so that the time does not tell which.
    for (at, one) in kept.iter().enumerate() {
        if secret::is_same(&one.session.id, id) {
            found = Some(at);
        }
    }
    found
}

fn retain_living(kept: &mut Vec<Kept>) {
    kept.retain(|one| one.used.elapsed() < IDLE && one.began.elapsed() < LIFE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_is_good_once() {
        let sessions = Sessions::default();
        let code = sessions.invite("key".into(), None).unwrap();
        assert!(sessions.accept("another").is_none());
        let session = sessions.accept(&code).unwrap();
        assert!(sessions.accept(&code).is_none());
        assert_eq!(&*sessions.find(&session.id).unwrap().bearer, "key");
        sessions.end(&session);
        assert!(sessions.find(&session.id).is_none());
    }

    #[test]
    fn what_a_page_asks_by_itself_keeps_nobody_signed_in() {
        let sessions = Sessions::default();
        let session = sessions.begin("key".into(), None).unwrap();
        let used = || sessions.kept.lock()[0].used;
        let before = used();
        assert!(sessions.peek(&session.id).is_some() && sessions.peek("x").is_none());
        assert_eq!(used(), before);
        while Instant::now() <= before {}
        assert!(sessions.find(&session.id).is_some());
        assert!(used() > before);
    }

    #[test]
    fn sessions_and_invitations_are_bounded() {
        let sessions = Sessions::default();
        let first = sessions.begin("key".into(), None).unwrap();
        let code = sessions.invite("key".into(), None).unwrap();
        for _ in 0..SESSIONS_MAX {
            sessions.begin("key".into(), None).unwrap();
        }
        for _ in 0..INVITATIONS_MAX {
            sessions.invite("key".into(), None).unwrap();
        }
        assert!(sessions.find(&first.id).is_none());
        assert!(sessions.accept(&code).is_none());
        assert_eq!(sessions.kept.lock().len(), SESSIONS_MAX);
    }

    #[test]
    fn the_last_outcome_is_kept_and_bounded_ones_that_were_not_as_wished() {
        let sessions = Sessions::default();
        let session = sessions.begin("key".into(), None).unwrap();
        let note = |is_done, text: &str| {
            let text = text.to_owned();
            session.note(Outcome { is_done, text });
            let shown = session.outcomes().into_iter();
            shown.map(|one| one.text).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(note(true, "shifted"), "shifted");
        assert_eq!(note(true, "verified"), "verified");
        assert_eq!(note(false, "a"), "a");
        assert_eq!(note(true, "shifted"), "shifted a");
        assert_eq!(note(false, "b"), "b a");
        note(false, "c");
        assert_eq!(note(false, "d"), "d c b");
    }
}
