//! One client: a connection, the users who take turns on it, and what each of
//! them remembers of its own writes.

use super::known::version_of;
use super::record::{Outcome, Target, Write};
use super::state::WorkloadState;
use super::tally::{Observation, RequestKind};
use crate::http_client::{Answer, Call, Connection, SendError};
use anyhow::Result;
use http::{Method, StatusCode};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

const CONTRACTS: &str = "/api/contracts";
const DOCUMENTS: &str = "/api/documents";

/// What a client may do next, with how often it does so in a hundred times.
const ACTIONS: [(Action, u32); 7] = [
    (Action::ReadContract, 38),
    (Action::ListContracts, 14),
    (Action::ReadEvents, 6),
    (Action::ReadParty, 6),
    (Action::Create, 14),
    (Action::PatchOwn, 10),
    (Action::PatchShared, 12),
];

#[derive(Debug, Clone, Copy)]
enum Action {
    ReadContract,
    ListContracts,
    ReadEvents,
    ReadParty,
    Create,
    PatchOwn,
    PatchShared,
    ReadDocuments,
    AddDocument,
}

/// How often what is done with documents is to read them.
const READ_DOCUMENTS: f64 = 0.7;

/// How often an acknowledged write is read back at once.
const READ_BACK: f64 = 0.5;

/// How often a new contract gets a document at once.
const DOCUMENT: f64 = 0.4;

pub(super) struct Client {
    shared: Arc<WorkloadState>,
    number: u32,
    connection: Connection,
    random: ChaCha8Rng,
    writes: u64,
    users: Vec<User>,
    /// Whose turn it is.
    turn: usize,
    /// Requests since the pace was last looked at.
    requests: u32,
}

/// What makes a user: the header, and its own writes.
#[derive(Default)]
struct User {
    /// `X-User-Id`; without one it is nobody in particular.
    id: Option<u32>,
    /// The version in the last acknowledgement, by contract.
    acknowledged: HashMap<u64, u64>,
    created: Vec<u64>,
}

impl Client {
    pub fn new(shared: Arc<WorkloadState>, number: u32) -> Result<Self> {
        let settings = &shared.settings;
        let first = number * settings.users_per_client + 1;
        let user = |id: u32| User {
            id: Some(id),
            ..User::default()
        };
        let users = if number < settings.anonymous {
            vec![User::default()]
        } else {
            (first..first + settings.users_per_client)
                .map(user)
                .collect()
        };
        Ok(Self {
            connection: Connection::new(&shared.url)?,
            random: ChaCha8Rng::seed_from_u64(settings.seed ^ (u64::from(number) << 32)),
            shared,
            number,
            writes: 0,
            users,
            turn: 0,
            requests: 0,
        })
    }

    /// Acts at its pace until told to stop.
    pub async fn work(mut self, mut stop: watch::Receiver<bool>) {
        let settings = &self.shared.settings;
        let interval = Duration::from_secs_f64(f64::from(settings.clients) / settings.rate);
        let mut next = Instant::now() + interval.mul_f64(self.random.random());
        loop {
            tokio::select! {
                // Its error says that the workload itself is gone.
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep_until(next) => {}
            }
            self.requests = 0;
            self.turn = self.random.random_range(0..self.users.len());
            let action = self.choose();
            self.act(action).await;
            // What a slow answer cost is not caught up with.
            let jitter = self.random.random_range(0.5..1.5);
            next = Instant::now().max(next + interval.mul_f64(jitter) * self.requests);
        }
    }

    fn choose(&mut self) -> Action {
        if self.random.random_bool(self.shared.settings.documents) {
            return if self.random.random_bool(READ_DOCUMENTS) {
                Action::ReadDocuments
            } else {
                Action::AddDocument
            };
        }
        let chosen = ACTIONS.choose_weighted(&mut self.random, |(_, weight)| *weight);
        chosen.map_or(Action::ReadContract, |(action, _)| *action)
    }

    async fn act(&mut self, action: Action) {
        let shared = Arc::clone(&self.shared);
        let known = &shared.known;
        match action {
            Action::ReadContract => {
                let own = self
                    .random
                    .random_bool(0.3)
                    .then(|| self.pick(&self.user().created.clone()));
                let id = own.flatten().or_else(|| self.pick(&known.contracts));
                if let Some(id) = id {
                    self.read_contract(id).await;
                }
            }
            Action::ListContracts => self.list_contracts().await,
            Action::ReadEvents => {
                if let Some(id) = self.pick(&known.shared) {
                    self.read(format!("{CONTRACTS}/{id}/events")).await;
                }
            }
            Action::ReadParty => {
                if let Some(id) = self.pick(&known.parties) {
                    self.read(format!("/api/parties/{id}")).await;
                }
            }
            Action::Create => self.create().await,
            Action::PatchOwn => {
                let id = self
                    .pick(&self.user().created.clone())
                    .or_else(|| self.pick(&known.shared));
                if let Some(id) = id {
                    self.patch(id).await;
                }
            }
            Action::PatchShared => {
                if let Some(id) = self.pick(&known.shared) {
                    self.patch(id).await;
                }
            }
            Action::ReadDocuments => {
                if let Some(id) = self.pick(&known.contracts) {
                    self.read(format!("{DOCUMENTS}?contract={id}")).await;
                }
            }
            Action::AddDocument => {
                if let Some(id) = self.pick(&known.contracts) {
                    self.add_document(id).await;
                }
            }
        }
    }

    fn user(&self) -> &User {
        // `turn` is always drawn from the range of this list.
        &self.users[self.turn]
    }

    fn pick(&mut self, ids: &[u64]) -> Option<u64> {
        ids.choose(&mut self.random).copied()
    }

    async fn create(&mut self) {
        let shared = Arc::clone(&self.shared);
        let (reference, phase) = (self.reference(), self.phase());
        let body = json!({
            "reference": reference,
            "title": format!("Field {}", self.random.random_range(1..1000)),
            "seller": self.pick(&shared.known.parties),
            "buyer": self.pick(&shared.known.parties),
            "land_plot": self.pick(&shared.known.plots),
            "price": format!("{}.50", self.random.random_range(1000..90_000)),
            "terms": {"pay_days": self.random.random_range(1..90)},
            "tags": (0..self.random.random_range(0..4)).map(|_| self.tag()).collect::<Vec<_>>(),
        });
        let call = Call::post(CONTRACTS, &body);
        let Some(contract) = self
            .write(call, reference, Target::Event, StatusCode::CREATED)
            .await
        else {
            return;
        };
        let Some(id) = contract["id"].as_u64() else {
            self.stale(
                phase,
                format!("POST {CONTRACTS} answered without an id: {contract}"),
            );
            return;
        };
        self.users[self.turn].created.push(id);
        if self.random.random_bool(READ_BACK) {
            self.read_contract(id).await;
        }
        if self.random.random_bool(DOCUMENT) {
            self.add_document(id).await;
        }
    }

    async fn patch(&mut self, id: u64) {
        let reference = self.reference();
        let statuses = ["draft", "active", "completed", "cancelled"];
        let status = statuses.choose(&mut self.random).copied();
        let body = json!({"status": status, "reference": reference});
        let call = Call::patch(format!("{CONTRACTS}/{id}"), &body);
        let done = self
            .write(call, reference, Target::Event, StatusCode::OK)
            .await;
        if done.is_some() && self.random.random_bool(READ_BACK) {
            self.read_contract(id).await;
        }
    }

    /// A write to another route, which needs the contract.
    async fn add_document(&mut self, contract: u64) {
        let (reference, phase) = (self.reference(), self.phase());
        let body = json!({
            "contract": contract,
            "reference": reference,
            "title": "Deed",
            "size_bytes": self.random.random_range(1..1_000_000),
        });
        let call = Call::post(DOCUMENTS, &body);
        let Some(document) = self
            .write(call, reference, Target::Document, StatusCode::CREATED)
            .await
        else {
            return;
        };
        let path = format!("{DOCUMENTS}?contract={contract}");
        if let Some(answer) = self.read(path.clone()).await {
            let body = answer.json();
            let rows = body["results"].as_array().map_or(&[][..], Vec::as_slice);
            if !rows.iter().any(|row| row["id"] == document["id"]) {
                self.stale(
                    phase,
                    format!("GET {path} does not list {}", document["id"]),
                );
            }
        }
    }

    async fn read_contract(&mut self, id: u64) {
        let phase = self.phase();
        let path = format!("{CONTRACTS}/{id}");
        let own = self.user().acknowledged.get(&id).copied();
        let call = Call::get(path.clone());
        let (result, started) = self.send(&call).await;
        // Its own contract must be there; that it is not is staleness.
        let is_missing = own.is_some()
            && result
                .as_ref()
                .is_ok_and(|a| a.status == StatusCode::NOT_FOUND);
        let failure = if is_missing {
            None
        } else {
            failure_of(&call, &result, StatusCode::OK)
        };
        let is_usable = failure.is_none();
        self.note(&call, phase, started, &result, failure);
        let (Some(own), true, Ok(answer)) = (own, is_usable, result) else {
            return;
        };
        let seen = version_of(&answer.json());
        if seen.is_none_or(|seen| seen < own) {
            let side = answer.side().unwrap_or("somebody");
            let (status, user) = (answer.status, self.user().id);
            let text = format!(
                "GET {path} by {user:?}: {side} answered {status} with version {seen:?}, \
                 the client's own write made {own}"
            );
            self.stale(phase, text);
        }
    }

    async fn list_contracts(&mut self) {
        let phase = self.phase();
        let filters = ["", "&status=active", "&page=2"];
        let filter = filters.choose(&mut self.random).copied().unwrap_or("");
        let path = format!("{CONTRACTS}?page_size=5{filter}");
        let Some(answer) = self.read(path.clone()).await else {
            return;
        };
        let body = answer.json();
        for row in body["results"].as_array().map_or(&[][..], Vec::as_slice) {
            let id = row["id"].as_u64().unwrap_or(0);
            let (own, seen) = (self.user().acknowledged.get(&id).copied(), version_of(row));
            if own.is_some() && seen < own {
                let text =
                    format!("GET {path} shows version {seen:?} of {id}, own write made {own:?}");
                self.stale(phase, text);
            }
        }
    }

    /// A read of which only the status matters.
    async fn read(&mut self, path: String) -> Option<Answer> {
        let (call, phase) = (Call::get(path), self.phase());
        let (result, started) = self.send(&call).await;
        let failure = failure_of(&call, &result, StatusCode::OK);
        let is_usable = failure.is_none();
        self.note(&call, phase, started, &result, failure);
        result.ok().filter(|_| is_usable)
    }

    /// Sends a write and records it; the answer's body if it was done.
    async fn write(
        &mut self,
        call: Call,
        reference: String,
        target: Target,
        expected: StatusCode,
    ) -> Option<Value> {
        let phase = self.phase();
        let (result, started) = self.send(&call).await;
        let outcome = Outcome::of(&result);
        let failure = failure_of(&call, &result, expected);
        self.note(&call, phase, started, &result, failure);
        let body = result.as_ref().map(Answer::json).unwrap_or_default();
        let is_document = target == Target::Document;
        let contract = if is_document {
            &body["contract"]
        } else {
            &body["id"]
        }
        .as_u64();
        let version = version_of(&body);
        self.shared.writes().push(Write {
            reference,
            target,
            outcome,
            contract,
            version,
        });
        if outcome != Outcome::Acknowledged {
            return None;
        }
        if let (Some(contract), Some(version)) = (contract, version) {
            let known = self.users[self.turn]
                .acknowledged
                .entry(contract)
                .or_default();
            *known = version.max(*known);
        }
        Some(body)
    }

    async fn send(&mut self, call: &Call) -> (Result<Answer, SendError>, Instant) {
        self.requests += 1;
        let started = Instant::now();
        let call = call.clone().by(self.user().id);
        (
            self.connection
                .send(&call, self.shared.settings.timeout)
                .await,
            started,
        )
    }

    fn note(
        &self,
        call: &Call,
        phase: usize,
        started: Instant,
        result: &Result<Answer, SendError>,
        failure: Option<String>,
    ) {
        let is_read = call.method == Method::GET;
        let observation = Observation {
            phase,
            elapsed: started.elapsed(),
            deed: RequestKind::of(&call.path, is_read),
            by_service: result
                .as_ref()
                .is_ok_and(|answer| answer.side() == Some("service")),
            is_acknowledged_write: !is_read && Outcome::of(result) == Outcome::Acknowledged,
            failure,
        };
        self.shared.tally().note(observation);
    }

    fn stale(&self, phase: usize, what: String) {
        self.shared.tally().note_stale(phase, what);
    }

    fn phase(&self) -> usize {
        self.shared.phase.load(Ordering::Relaxed)
    }

    fn reference(&mut self) -> String {
        self.writes += 1;
        format!(
            "{}-w{}-{:06}",
            self.shared.settings.run, self.number, self.writes
        )
    }

    /// Some are there, some are new: new ones are made by the write.
    fn tag(&mut self) -> String {
        let kinds = ["farm", "forest", "lease", "sale", "new"];
        let kind = kinds.choose(&mut self.random).copied().unwrap_or("farm");
        format!("{kind}-{}", self.random.random_range(0..40))
    }
}

/// What is wrong with an answer, in words.
fn failure_of(
    call: &Call,
    result: &Result<Answer, SendError>,
    expected: StatusCode,
) -> Option<String> {
    match result {
        Ok(answer) if answer.status == expected => None,
        Ok(answer) => {
            let side = answer.side().unwrap_or("no side named");
            let (line, status) = (call.line(), answer.status);
            Some(format!("{line}: {status} ({side}) {}", answer.body_head()))
        }
        Err(error) => Some(format!("{}: {error}", call.line())),
    }
}
