//! Everybody who works while the three move, and the auditor who does not.

use super::board::Board;
use super::ground::Ground;
use super::report::{Report, Users};
use super::settings::Settings;
use crate::auditor::{Audit, Auditor, Claim};
use crate::deadline;
use crate::http_client;
use crate::monolith::{BackgroundOutcome, Writer};
use crate::people::{self, Crowd, Habit, Person, VisitCounts};
use crate::workload::{Outcome, Target, View, Workload};
use anyhow::Result;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

const TRAFFIC_INTERVAL: Duration = Duration::from_millis(500);

/// A password that was set must be good at both sides within this time.
const PASSWORD_LIMIT: Duration = Duration::from_secs(20);

/// Who works.
#[derive(Debug)]
pub(super) struct Load {
    workload: Workload,
    crowd: Crowd,
    /// Everybody who had an account before.
    people: Vec<Person>,
    writer: Writer,
    auditor: Auditor,
    _line: TrafficLine,
}

/// The task that shows the traffic. Dropping it ends it.
#[derive(Debug)]
struct TrafficLine(JoinHandle<()>);

impl Drop for TrafficLine {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Load {
    /// Starts all of them, in a first phase.
    pub async fn start(
        ground: &Ground,
        gateway: &str,
        settings: &Settings,
        board: &Arc<Board>,
        phase: &str,
    ) -> Result<Self> {
        let (scene, run) = (&ground.scene, &settings.workload.run);
        let people = Person::all(&scene.project).await?;
        let service = scene.contracts_database()?;
        let auditor = Auditor::begin(&scene.monolith_database()?, Some(&service), run)
            .await?
            .documents_in(&ground.documents_database()?)
            .users_in(&ground.identity_database()?)
            .await?;
        let workload = Workload::start(gateway, settings.workload.clone(), phase).await?;
        let visits = people::Settings {
            habits: vec![
                (Habit::Visits, settings.visitors),
                (Habit::ChangesPasswords, 2),
                (Habit::Registers, 2),
                (Habit::KeepsOldToken, 1),
            ],
            pace_ms: settings.pace_ms.clone(),
            timeout: settings.timeout,
            devices: run.clone(),
            seed: settings.workload.seed,
        };
        let crowd = Crowd::start(gateway, &people, &visits)?;
        let writer = scene
            .project
            .start_writer(settings.writer_rate, &format!("{run}-cron"))?;
        let line = tokio::spawn(show_traffic(workload.view(), Arc::clone(board)));
        Ok(Self {
            workload,
            crowd,
            people,
            writer,
            auditor,
            _line: TrafficLine(line),
        })
    }

    /// Requests that start from now on are counted under another name.
    pub fn begin_phase(&self, name: &str) {
        self.workload.begin_phase(name);
    }

    /// Ends the work, has it audited, and adds it all to the report.
    pub async fn finish(self, ground: &Ground, report: &mut Report) -> Result<Audit> {
        let background = self.writer.stop().await?;
        let finished = self.workload.stop().await?;
        let (visits, active) = self.crowd.finish().await?;
        let registered = registered(&active, &self.people);
        let mut claims = Claim::all(&finished.writes, &background);
        let names = registered.iter().map(|person| &person.username);
        claims.extend(names.map(|name| claim(name, Outcome::Acknowledged)));
        claims.extend(
            visits
                .unsure
                .iter()
                .map(|name| claim(name, Outcome::Unknown)),
        );
        let audit = self.auditor.audit(&claims).await?;
        let count = u64::try_from(registered.len()).unwrap_or(u64::MAX);
        // Whom nobody acted for has the password of the beginning.
        let is_idle = |one: &&Person| !active.iter().any(|other| other.username == one.username);
        let idle = self.people.iter().filter(is_idle);
        let all: Vec<&Person> = active.iter().chain(idle).collect();
        let wrong = wrong_passwords(ground, &all).await;
        report.add_users(users(&visits, count, &wrong), visits.problems, wrong);
        report.add_workload(&finished);
        let failed = |one: &&crate::monolith::BackgroundWrite| {
            let outcome = one.outcome;
            matches!(
                outcome,
                BackgroundOutcome::Failed | BackgroundOutcome::Unknown
            )
        };
        let failed = background.iter().filter(failed).count();
        report.background_failed = u64::try_from(failed).unwrap_or(u64::MAX);
        Ok(audit)
    }
}

fn claim(name: &str, outcome: Outcome) -> Claim {
    Claim {
        reference: name.to_owned(),
        target: Target::User,
        outcome,
    }
}

fn users(visits: &VisitCounts, registered: u64, wrong: &[String]) -> Users {
    Users {
        requests: visits.requests,
        failed: visits.failed,
        busy: visits.busy,
        logins: visits.of("login"),
        registered,
        passwords_changed: visits.of("password"),
        passwords_wrong: u64::try_from(wrong.len()).unwrap_or(u64::MAX),
    }
}

/// Those who had no account before.
fn registered<'a>(active: &'a [Person], before: &[Person]) -> Vec<&'a Person> {
    let is_new = |one: &&Person| !before.iter().any(|other| other.username == one.username);
    active.iter().filter(is_new).collect()
}

/// Whose last password is not good at a side, in words.
async fn wrong_passwords(ground: &Ground, people: &[&Person]) -> Vec<String> {
    let sides = [
        ("monolith", ground.scene.web.url()),
        ("service", ground.identity.url()),
    ];
    let mut wrong = Vec::new();
    for person in people {
        for (side, url) in sides {
            let what = format!("the password of {} at the {side}", person.username);
            let known = deadline::until(&what, PASSWORD_LIMIT, async || {
                let answer = http_client::call(url, &person.login(), PASSWORD_LIMIT).await?;
                Ok((answer.status == 200).then_some(()))
            });
            wrong.extend(known.await.err().map(|error| format!("{error:#}")));
        }
    }
    wrong
}

async fn show_traffic(view: View, board: Arc<Board>) {
    let mut interval = tokio::time::interval(TRAFFIC_INTERVAL);
    let mut last = 0;
    loop {
        interval.tick().await;
        let (total, phase) = (view.total(), view.current());
        let (rate, counts) = (2 * (total.requests - last), phase.counts);
        last = total.requests;
        board.show(
            "traffic",
            format!(
                "{rate} req/s, {} failed, p50 {:.0} ms, p95 {:.0} ms ({})",
                counts.failed, counts.p50_ms, counts.p95_ms, phase.name
            ),
        );
    }
}
