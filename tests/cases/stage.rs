//! A scene with `banyan serve` in front: where most cases begin.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::time::Duration;
use testbed::auditor::{Audit, Auditor, Claim};
use testbed::banyan::answers::{Extraction, Handover};
use testbed::banyan::{CommandLine, Plan, Serve};
use testbed::deadline;
use testbed::http_client::{self, Call};
use testbed::monolith::Writer;
use testbed::scene::{MONOLITH_DATABASE, MONOLITH_ROLE, Scene, Settings};
use testbed::workload::{self, Finished, Workload};
use tokio_postgres::Client;

/// Enough for every page and filter, small enough to be copied at once.
const CONTRACTS: u64 = 300;

/// Whatever is interrupted must have settled within this time.
const SETTLE_LIMIT: Duration = Duration::from_secs(30);

/// Longer than the patient plan's hold.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

pub(crate) const TRAFFIC_LIMIT: Duration = Duration::from_secs(30);

/// What stands, from the front to the back. Later ones end last.
pub(crate) struct Stage {
    pub serve: Option<Serve>,
    pub banyan: CommandLine,
    pub scene: Scene,
}

impl Stage {
    /// Everything stands; nothing has begun.
    pub async fn set(edit: impl Fn(Plan) -> Result<Plan>) -> Result<Self> {
        let scene = Scene::set(&Settings::fast(CONTRACTS), &|_| {}).await?;
        let plan = edit(patient(scene.plan()?)?)?;
        let banyan = scene.command_line(&plan)?;
        Ok(Self {
            serve: None,
            banyan,
            scene,
        })
    }

    /// Tables copied and followed, with the example's plan.
    pub async fn following() -> Result<Self> {
        Self::following_until(None, Ok).await
    }

    /// The same with another plan and a failpoint to die at.
    pub async fn following_until(
        failpoint: Option<&str>,
        edit: impl Fn(Plan) -> Result<Plan>,
    ) -> Result<Self> {
        let mut stage = Self::set(edit).await?;
        stage.serve(failpoint).await?;
        stage.banyan.start().await?;
        stage.settled("following", "monolith").await?;
        Ok(stage)
    }

    /// Starts `banyan serve`; the addresses are the plan's, so they stay.
    pub async fn serve(&mut self, failpoint: Option<&str>) -> Result<()> {
        self.serve = Some(
            self.banyan
                .serve_until(failpoint, self.scene.logs())
                .await?,
        );
        Ok(())
    }

    /// Lets another `banyan serve` take over; the old one ends by itself.
    pub async fn take_over(&mut self) -> Result<()> {
        let successor = self.banyan.take_over(self.scene.logs()).await?;
        let predecessor = self.serve.replace(successor);
        let mut predecessor = predecessor.context("banyan is not running")?;
        let exit = predecessor.process().wait(SETTLE_LIMIT).await?;
        ensure!(exit.code == 0, "the predecessor ended with {exit:?}");
        Ok(())
    }

    pub fn gateway(&self) -> Result<&str> {
        Ok(self
            .serve
            .as_ref()
            .context("banyan is not running")?
            .gateway())
    }

    pub async fn status(&self) -> Result<Extraction> {
        Ok(self.banyan.status().await?.contracts())
    }

    /// The same, all that `status --json` says of it.
    pub async fn status_as_json(&self) -> Result<Value> {
        let status = self.banyan.run("status", &["--json"]).await?.successful()?;
        let status: Value = serde_json::from_str(&status.stdout)?;
        let contracts = status["extractions"].get(0);
        Ok(contracts.context("no extraction")?.clone())
    }

    /// Makes a contract through the gateway; the status of the answer.
    pub async fn create_contract(&self, reference: &str) -> Result<u16> {
        let body = json!({"reference": reference, "title": "x", "seller": 1, "buyer": 1,
                          "land_plot": 1, "price": "1.00"});
        let call = Call::post("/api/contracts", &body).by(Some(3));
        let answer = http_client::call(self.gateway()?, &call, SETTLE_LIMIT).await?;
        Ok(answer.status.as_u16())
    }

    /// Waits until the extraction is in a phase, has an owner, and its streams
    /// run.
    pub async fn settled(&self, phase: &str, owner: &str) -> Result<Extraction> {
        let what = format!("the phase {phase} with the owner {owner}");
        let mut last = Extraction::default();
        let settled = deadline::until(&what, SETTLE_LIMIT, async || {
            last = self.status().await?;
            let is_it = last.phase == phase && last.owner == owner && last.streams_run();
            Ok(is_it.then(|| last.clone()))
        })
        .await;
        settled.with_context(|| format!("last seen: {last:?}"))
    }

    /// Clients through the gateway and a background writer beside it.
    pub async fn traffic(&self) -> Result<Traffic> {
        let service = self.scene.contracts_database()?;
        self.traffic_on(Some(&service)).await
    }

    /// The same, where the service has a database of its own or none.
    pub async fn traffic_on(&self, service: Option<&str>) -> Result<Traffic> {
        let settings = workload::Settings {
            rate: 80.0,
            timeout: ANSWER_LIMIT,
            ..workload::Settings::default()
        };
        let run = settings.run.clone();
        let monolith = self.scene.monolith_database()?;
        let auditor = Auditor::begin(&monolith, service, &run).await?;
        let writer = self
            .scene
            .project
            .start_writer(10, &format!("{run}-cron"))?;
        let workload = Workload::start(self.gateway()?, settings, "before").await?;
        let traffic = Traffic {
            workload,
            writer,
            auditor,
        };
        traffic.more_writes(20).await?;
        Ok(traffic)
    }

    /// A session of the monolith's role beside the gateway, with a name that the
    /// plan declares: any other that is seen to write is a reason to refuse a
    /// switch, and whether a short write is seen is chance.
    pub async fn declared_writer(&self) -> Result<Client> {
        let cluster = &self.scene.monolith_cluster;
        let client = cluster.client(MONOLITH_ROLE, MONOLITH_DATABASE).await?;
        let name = "SET application_name = 'land-contracts-cron'";
        client.batch_execute(name).await?;
        Ok(client)
    }

    /// One that does not end its transaction: while it lasts, no switch gets its
    /// lock.
    pub async fn unfinished_writer(&self) -> Result<UnfinishedWriter> {
        let client = self.declared_writer().await?;
        let begin = "BEGIN; LOCK TABLE contracts_contract IN ROW EXCLUSIVE MODE";
        client.batch_execute(begin).await?;
        Ok(UnfinishedWriter(client))
    }

    /// A switch that must succeed.
    pub async fn switch(&self) -> Result<Handover> {
        committed(self.banyan.switch().await?)
    }

    /// A rollback that must succeed.
    pub async fn rollback(&self) -> Result<Handover> {
        committed(self.banyan.rollback().await?)
    }

    /// A verify that must find nothing.
    pub async fn ensure_equal(&self) -> Result<()> {
        let found = self.banyan.verify().await?;
        ensure!(
            found.differences.is_empty(),
            "verify found {:?}",
            found.differences
        );
        ensure!(
            found.rows > CONTRACTS,
            "verify compared only {} rows",
            found.rows
        );
        Ok(())
    }
}

/// Has the contracts locked as whoever writes them has.
pub(crate) struct UnfinishedWriter(Client);

impl UnfinishedWriter {
    /// Ends without a change.
    pub async fn give_up(self) -> Result<()> {
        Ok(self.0.batch_execute("ROLLBACK").await?)
    }
}

/// A plan whose hand-overs may take the time that they need on a busy machine:
/// how long they do is measured elsewhere.
pub(crate) fn patient(plan: Plan) -> Result<Plan> {
    plan.replace("hold: 2s", "hold: 10s")?
        .replace("drain: 1s", "drain: 5s")
}

pub(crate) fn committed(handover: Handover) -> Result<Handover> {
    if !handover.is_committed() {
        bail!("the {} was aborted: {}", handover.kind, handover.reason());
    }
    println!(
        "{} epoch {}: {:.0} ms, {} held, at most {:.0} ms",
        handover.kind,
        handover.epoch,
        handover.total_ms,
        handover.held_requests,
        handover.hold_ms_max
    );
    Ok(handover)
}

/// Clients at work and who will judge the result.
pub(crate) struct Traffic {
    pub workload: Workload,
    writer: Writer,
    auditor: Auditor,
}

impl Traffic {
    /// Lets the clients go on until this many more writes were acknowledged.
    pub async fn more_writes(&self, count: u64) -> Result<()> {
        let view = self.workload.view();
        let goal = view.total().writes_acknowledged + count;
        deadline::poll(&format!("{count} more writes"), TRAFFIC_LIMIT, || {
            Ok((view.total().writes_acknowledged >= goal).then_some(()))
        })
        .await
    }

    /// Ends the work and audits it. What the clients saw is the caller's to
    /// judge, what the databases hold must be right in any case.
    pub async fn finish(self) -> Result<(Finished, Audit)> {
        let background = self.writer.stop().await?;
        let finished = self.workload.stop().await?;
        let claims = Claim::all(&finished.writes, &background);
        let audit = self.auditor.audit(&claims).await?;
        println!(
            "{} requests, {} failed; writes: {} acknowledged, {} unknown, {} refused",
            finished.total.requests,
            finished.total.failed,
            audit.acknowledged,
            audit.unknown,
            audit.refused
        );
        audit.ensure_clean()?;
        let stale = finished.total.stale_reads;
        ensure!(stale == 0, "{stale} stale reads: {:#?}", finished.failures);
        Ok((finished, audit))
    }

    /// The same where the clients must not have noticed anything.
    pub async fn finish_unnoticed(self) -> Result<()> {
        let (finished, _) = self.finish().await?;
        ensure!(
            finished.total.failed == 0,
            "clients noticed: {:#?}",
            finished.failures
        );
        Ok(())
    }
}
