//! Somebody at a device: what they do, and what they remember.

use super::person::{Pair, Person, change, with};
use super::record::VisitRecord;
use super::settings::{Habit, Settings};
use crate::http_client::{Answer, Call, Connection, SendError};
use anyhow::Result;
use http::HeaderValue;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Somebody at a device.
pub(super) struct Client {
    connection: Connection,
    random: ChaCha8Rng,
    pace_ms: Range<u64>,
    timeout: Duration,
    device: String,
    habit: Habit,
    person: Person,
    pair: Option<Pair>,
    seen: Arc<VisitRecord>,
    /// Everybody whom it has registered, and itself.
    known: Vec<Person>,
    /// Its passwords, where more than one may be it.
    candidates: Vec<String>,
}

impl Client {
    pub fn new(
        settings: &Settings,
        gateway: &str,
        number: u32,
        (habit, person): (Habit, Person),
        seen: Arc<VisitRecord>,
    ) -> Result<Self> {
        Ok(Self {
            connection: Connection::new(gateway)?,
            random: ChaCha8Rng::seed_from_u64(settings.seed ^ (u64::from(number) << 32)),
            pace_ms: settings.pace_ms.clone(),
            timeout: settings.timeout,
            device: format!("{}-{number}", settings.devices),
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
            let pause = self.random.random_range(self.pace_ms.clone());
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
        let sent = self.connection.send(&call, self.timeout).await;
        self.seen.lock().requests += 1;
        let is_crashing = was_crashing || crashing();
        match sent {
            Ok(answer) if good.contains(&answer.status.as_u16()) => {
                let side = answer.side().unwrap_or("nobody").to_owned();
                *self.seen.lock().by_side.entry((what, side)).or_default() += 1;
                Some(answer)
            }
            // The machine is busy; nothing was done, and it may be asked again.
            Ok(answer) if answer.status == 503 && answer.body_head().contains(":busy") => {
                self.seen.lock().busy += 1;
                None
            }
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
        } else {
            self.seen.lock().unsure.push(new.username);
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
