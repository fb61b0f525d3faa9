//! Who logs in, and what they do.

use crate::seed;
use anyhow::{Context, Result};
use http::HeaderValue;
use rand::{RngExt, rngs::StdRng};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use testbed::http_client::{Answer, Call, Connection, SendError};
use testbed::monolith::Project;

/// Longer than any hold.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// As fast as people are, times a hundred.
const PACE_MS: std::ops::Range<u64> = 20..60;

/// How many problems are kept.
const PROBLEMS_MAX: usize = 20;

#[derive(Debug, Clone)]
pub(super) struct Person {
    pub username: String,
    pub email: String,
    pub password: String,
}

impl Person {
    /// Everybody whom the monolith has.
    pub async fn all(project: &Project) -> Result<Vec<Self>> {
        let script = include_str!("people.py");
        let printed = project.manage(&["shell", "--command", script]).await?;
        let line = printed.lines().find(|line| line.starts_with("[{"));
        let people: Vec<BTreeMap<String, String>> =
            serde_json::from_str(line.with_context(|| printed.clone())?)?;
        let person = |one: BTreeMap<String, String>| Self {
            username: one["username"].clone(),
            email: one["email"].clone(),
            password: one["password"].clone(),
        };
        Ok(people.into_iter().map(person).collect())
    }

    pub fn new(username: String) -> Self {
        Self {
            email: format!("{username}@example.com"),
            password: "battery staple 7".to_owned(),
            username,
        }
    }

    /// By the address, or by the name where others have the address, too.
    pub fn login(&self) -> Call {
        let by = if self.email.starts_with("Office") {
            json!({ "username": self.username, "password": self.password })
        } else {
            json!({ "email": self.email, "password": self.password })
        };
        Call::post("/auth/login", &by)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub access: String,
    pub refresh: String,
}

impl Pair {
    pub fn of(answer: &Answer) -> Option<Self> {
        let body = answer.json();
        Some(Self {
            access: body["access_token"].as_str()?.to_owned(),
            refresh: body["refresh_token"].as_str()?.to_owned(),
        })
    }
}

pub(super) fn with(call: Call, scheme: &str, token: &str) -> Call {
    match HeaderValue::try_from(format!("{scheme} {token}")) {
        Ok(value) => call.header("authorization", value),
        Err(_) => call,
    }
}

pub(super) fn change(old: &str, new: &str) -> Call {
    let body = json!({ "current_password": old, "new_password": new });
    Call::post("/auth/password/change", &body)
}

/// What all of them saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Banyan was killed: answers may be missing.
    pub is_crashing: AtomicBool,
    pub is_over: AtomicBool,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Counts {
    pub requests: u64,
    /// Good answers of either side, by what was asked.
    pub by_side: BTreeMap<(&'static str, String), u64>,
    pub lost: u64,
    pub problems: Vec<String>,
}

impl Counts {
    pub fn of(&self, what: &str) -> u64 {
        let all = self.by_side.iter();
        all.filter(|((one, _), _)| *one == what)
            .map(|(_, count)| count)
            .sum()
    }

    /// The service's share of what is split.
    pub fn share(&self, since: &Self) -> f64 {
        let count = |side: &str| {
            let read = |what: &str| {
                let key = (what_is(what), side.to_owned());
                self.by_side.get(&key).unwrap_or(&0) - since.by_side.get(&key).unwrap_or(&0)
            };
            let split: u64 = ["login", "me", "refresh"].map(read).iter().sum();
            u32::try_from(split).map_or(f64::MAX, f64::from)
        };
        count("service") / (count("service") + count("monolith")).max(1.0)
    }
}

fn what_is(what: &str) -> &'static str {
    ["login", "me", "refresh"]
        .into_iter()
        .find(|one| *one == what)
        .unwrap_or_default()
}

impl Seen {
    pub fn counts(&self) -> Counts {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn problem(&self, text: String) {
        let mut counts = self.lock();
        if counts.problems.len() < PROBLEMS_MAX {
            counts.problems.push(text);
        }
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

/// What somebody does all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Habit {
    /// Comes, looks, stays.
    Visits,
    /// The same, with another password now and then.
    ChangesPasswords,
    /// Has a token of the monolith's old kind.
    KeepsOldToken,
    /// Brings new people.
    Registers,
}

/// Somebody at a device.
pub(super) struct Client {
    connection: Connection,
    random: StdRng,
    device: String,
    habit: Habit,
    person: Person,
    pair: Option<Pair>,
    seen: Arc<Seen>,
    /// Everybody whom it has registered, and itself.
    known: Vec<Person>,
    /// Its passwords, where more than one may be it.
    candidates: Vec<String>,
}

impl Client {
    pub fn new(
        gateway: &str,
        device: String,
        habit: Habit,
        person: Person,
        seen: Arc<Seen>,
    ) -> Result<Self> {
        Ok(Self {
            connection: Connection::new(gateway)?,
            random: seed::generator(&device),
            device,
            habit,
            person,
            pair: None,
            seen,
            known: Vec::new(),
            candidates: Vec::new(),
        })
    }

    /// Until it is over; everybody with their last password.
    pub async fn run(mut self) -> Vec<Person> {
        let mut round = 0_u32;
        while !self.seen.is_over() {
            round += 1;
            self.act(round).await;
            let pause = self.random.random_range(PACE_MS);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        self.known.push(self.person);
        self.known
    }

    async fn act(&mut self, round: u32) {
        if !self.candidates.is_empty() {
            return self.settle_password(round).await;
        }
        match (self.habit, round % 40) {
            (Habit::KeepsOldToken, _) => return self.keep_old_token().await,
            (Habit::Registers, 5) => return self.register(round).await,
            (Habit::ChangesPasswords, 15) => return self.change_password(round).await,
            _ => {}
        }
        let Some(pair) = self.pair.clone() else {
            return self.login().await;
        };
        let drawn = self.random.random_range(0..20);
        match drawn {
            0..12 => self.me("Bearer", &pair.access).await,
            12..17 => self.refresh(&pair).await,
            17 => self.login().await,
            18 => self.wrong_password().await,
            _ => self.logout(&pair).await,
        }
    }

    /// An answer of one of these statuses; anything else is a problem.
    async fn ask(&mut self, what: &'static str, call: Call, good: &[u16]) -> Option<Answer> {
        let device = HeaderValue::try_from(&self.device).ok()?;
        let call = call.header("x-device-id", device);
        let crashing = || self.seen.is_crashing.load(Ordering::SeqCst);
        let was_crashing = crashing();
        let sent = self.connection.send(&call, ANSWER_LIMIT).await;
        self.seen.lock().requests += 1;
        let is_crashing = was_crashing || crashing();
        match sent {
            Ok(answer) if good.contains(&answer.status.as_u16()) => {
                let side = answer.side().unwrap_or("nobody").to_owned();
                *self.seen.lock().by_side.entry((what, side)).or_default() += 1;
                Some(answer)
            }
            // The machine is busy; nothing was done, and it may be asked again.
            Ok(answer) if answer.status == 503 && answer.body_head().contains(":busy") => None,
            Ok(answer) if is_crashing && answer.status.is_server_error() => {
                self.seen.lock().lost += 1;
                None
            }
            Err(SendError::Unsent(_) | SendError::Unanswered(_)) if is_crashing => {
                self.seen.lock().lost += 1;
                None
            }
            Ok(answer) => {
                let side = answer.side().unwrap_or("nobody");
                let (status, body) = (answer.status, answer.body_head());
                let who = &self.person.username;
                self.seen
                    .problem(format!("{what} of {who} at {side}: {status} {body}"));
                None
            }
            Err(error) => {
                self.seen.problem(format!("{what}: {error}"));
                None
            }
        }
    }

    async fn login(&mut self) {
        let answer = self.ask("login", self.person.login(), &[200]).await;
        self.pair = answer.and_then(|answer| Pair::of(&answer));
    }

    async fn wrong_password(&mut self) {
        let wrong = Person {
            password: "not this one".to_owned(),
            ..self.person.clone()
        };
        self.ask("wrong password", wrong.login(), &[401]).await;
    }

    async fn me(&mut self, scheme: &str, token: &str) {
        let call = with(Call::get("/auth/me"), scheme, token);
        if let Some(answer) = self.ask("me", call, &[200]).await
            && answer.json()["username"] != *self.person.username
        {
            self.seen
                .problem(format!("/auth/me is {}", answer.body_head()));
        }
    }

    /// Where the answer is missing, its token may be used up: then nobody could
    /// know the next one.
    async fn refresh(&mut self, pair: &Pair) {
        let call = with(Call::post_nothing("/auth/refresh"), "Bearer", &pair.refresh);
        let answer = self.ask("refresh", call, &[200]).await;
        self.pair = answer.and_then(|answer| Pair::of(&answer));
    }

    async fn logout(&mut self, pair: &Pair) {
        let call = with(Call::post_nothing("/auth/logout"), "Bearer", &pair.access);
        if self.ask("logout", call, &[204]).await.is_some() {
            let me = with(Call::get("/auth/me"), "Bearer", &pair.access);
            self.ask("logged out", me, &[401]).await;
        }
        self.pair = None;
    }

    async fn change_password(&mut self, round: u32) {
        let Some(pair) = self.pair.clone() else {
            return self.login().await;
        };
        let new = format!("password of round {round}");
        let call = change(&self.person.password, &new);
        let call = with(call, "Bearer", &pair.access);
        let answer = self.ask("password", call, &[204]).await;
        let old = std::mem::replace(&mut self.person.password, new);
        if answer.is_none() {
            self.pair = None;
            self.candidates = vec![old, self.person.password.clone()];
            return;
        }
        // The session goes on, and the old password is none.
        self.me("Bearer", &pair.access).await;
        let former = Person {
            password: old,
            ..self.person.clone()
        };
        self.ask("former password", former.login(), &[401]).await;
    }

    /// Whether a change without an answer has its effect, and when, is not known:
    /// another one, of whatever password logs in, makes sure.
    async fn settle_password(&mut self, round: u32) {
        let fresh = format!("password settled in round {round}");
        for password in self.candidates.clone() {
            self.person.password.clone_from(&password);
            let answer = self.ask("unsure", self.person.login(), &[200, 401]).await;
            let Some(pair) = answer.and_then(|answer| Pair::of(&answer)) else {
                continue;
            };
            let call = with(change(&password, &fresh), "Bearer", &pair.access);
            let answer = self.ask("unsure", call, &[204, 401, 409, 422]).await;
            match answer.map(|answer| answer.status.as_u16()) {
                Some(204) => {
                    self.person.password = fresh;
                    self.candidates.clear();
                }
                Some(_) => {}
                None => self.candidates.push(fresh),
            }
            return;
        }
    }

    async fn register(&mut self, round: u32) {
        let new = Person::new(format!("{}-{round}", self.device));
        let body = json!({
            "username": new.username, "email": new.email, "password": new.password,
            "first_name": "New", "last_name": "Person",
        });
        let call = Call::post("/auth/register", &body);
        if self.ask("register", call, &[201]).await.is_some() {
            // Logs in at once, and is the one who acts from now on.
            self.known.push(std::mem::replace(&mut self.person, new));
            self.login().await;
        }
    }

    /// The token is good at `/api/auth`, which stays, and at `/auth`; and good
    /// for a session.
    async fn keep_old_token(&mut self) {
        let body = json!({ "username": self.person.username, "password": self.person.password });
        let call = Call::post("/api/auth/login", &body);
        let Some(answer) = self.ask("old login", call, &[200]).await else {
            return;
        };
        let body = answer.json();
        let token = body["token"].as_str().unwrap_or_default();
        self.me("Token", token).await;
        let call = with(Call::get("/api/auth/me"), "Token", token);
        self.ask("old me", call, &[200]).await;
        let call = with(Call::post_nothing("/auth/refresh"), "Token", token);
        let answer = self.ask("exchange", call, &[200]).await;
        let Some(pair) = answer.and_then(|answer| Pair::of(&answer)) else {
            return;
        };
        self.me("Bearer", &pair.access).await;
        // A session of either side is good at the monolith's old address, too.
        let call = with(Call::get("/api/auth/me"), "Bearer", &pair.access);
        self.ask("old me", call, &[200]).await;
    }
}
