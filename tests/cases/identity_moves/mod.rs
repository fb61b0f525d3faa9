//! Users leave Django's `auth_user` for identity while they log in, look at
//! themselves, carry their sessions on, register and change passwords: out, back,
//! and out again, over a kill of `banyan serve`. Nobody is logged out, and nobody
//! needs a new password.

mod sides;

use crate::{seed, stage::committed};
use anyhow::{Context, Result, ensure};
use rand::RngExt;
use std::time::Duration;
use testbed::banyan::answers::Handover;
use testbed::banyan::{CommandLine, Plan, Serve};
use testbed::cluster::Cluster;
use testbed::deadline;
use testbed::identity::IdentityPlace;
use testbed::people::{Crowd, Habit, Person, Settings as PeopleSettings, VisitCounts};
use testbed::scene::{MONOLITH_DATABASE, MOVER_ROLE, Scene, Settings};
use testbed::service::Service;

const EXTRACTION: &str = "users";
const DATABASE: &str = "identity";
const LIMIT: Duration = Duration::from_mins(1);
/// How often a hand-over is asked for.
const HANDOVERS: usize = 8;

/// What stands, from the front to the back.
struct Stage {
    serve: Option<Serve>,
    banyan: CommandLine,
    identity: Service,
    cluster: Cluster,
    scene: Scene,
}

impl Stage {
    async fn set() -> Result<Self> {
        let place = IdentityPlace::free()?;
        let settings = Settings {
            environment: place.monolith_environment(),
            ..Settings::fast(50)
        };
        let scene = Scene::set(&settings, &|_| {}).await?;
        let cluster = scene.cluster(DATABASE).await?;
        let database = cluster.url(DATABASE, DATABASE)?;
        let identity = place
            .start(&database, scene.web.url(), scene.logs())
            .await?;
        let plan = Plan::whole_example(&scene.addresses()?)?
            .set("IDENTITY_URL", identity.url())
            .set("IDENTITY_DATABASE_URL", &cluster.url(MOVER_ROLE, DATABASE)?);
        let banyan = scene.command_line(&plan)?.extraction(EXTRACTION);
        Ok(Self {
            serve: None,
            banyan,
            identity,
            cluster,
            scene,
        })
    }

    async fn serve(&mut self) -> Result<()> {
        self.serve = Some(self.banyan.serve(self.scene.logs()).await?);
        Ok(())
    }

    async fn settled(&self, phase: &str, owner: &str) -> Result<()> {
        let what = format!("the phase {phase} with the owner {owner}");
        let mut last = None;
        let settled = deadline::until(&what, LIMIT, async || {
            let now = self.banyan.status().await?.of(EXTRACTION);
            let is_it = now.phase == phase && now.owner == owner && now.streams_run();
            last = Some(now);
            Ok(is_it.then_some(()))
        })
        .await;
        settled.with_context(|| format!("last seen: {last:?}"))
    }

    async fn switch(&self) -> Result<()> {
        in_the_end(async || self.banyan.switch().await).await
    }

    async fn rollback(&self) -> Result<()> {
        in_the_end(async || self.banyan.rollback().await).await
    }

    fn sides(&self) -> (&str, &str) {
        (self.scene.web.url(), self.identity.url())
    }

    /// `auth_user` of both sides, as text: nothing of it is left out.
    async fn tables(&self) -> Result<(String, String)> {
        let text = async |client: tokio_postgres::Client, table: &str| {
            let query = format!("select string_agg(u::text, E'\\n' order by id) from {table} u");
            anyhow::Ok(client.query_one(&query, &[]).await?.get::<_, String>(0))
        };
        let monolith = &self.scene.monolith_cluster;
        let monolith = monolith.client(MOVER_ROLE, MONOLITH_DATABASE).await?;
        let service = self.cluster.client(MOVER_ROLE, DATABASE).await?;
        Ok((
            text(monolith, "auth_user").await?,
            text(service, "identity_service.auth_user").await?,
        ))
    }
}

/// On a busy machine a password takes longer to hash than the hold lasts: then
/// all is as before, no client has noticed, and it is asked for again.
async fn in_the_end(ask: impl AsyncFn() -> Result<Handover>) -> Result<()> {
    for _ in 1..HANDOVERS {
        let handover = ask().await?;
        if handover.is_committed() {
            return committed(handover).map(drop);
        }
        let reason = handover.reason().to_owned();
        println!("{} aborted: {reason}", handover.kind);
        ensure!(reason.contains("`switch.hold`"), "{reason}");
    }
    committed(ask().await?).map(drop)
}

/// People at work, phase by phase.
struct Visits {
    crowd: Crowd,
    last: VisitCounts,
}

impl Visits {
    fn start(gateway: &str, people: &[Person]) -> Result<Self> {
        let settings = PeopleSettings {
            habits: vec![
                (Habit::Visits, 16),
                (Habit::ChangesPasswords, 4),
                (Habit::KeepsOldToken, 2),
                (Habit::Registers, 3),
            ],
            // As fast as people are, times a hundred.
            pace_ms: 20..60,
            // Longer than any hold.
            timeout: Duration::from_secs(20),
            devices: "device".to_owned(),
            seed: seed::generator("people").random(),
        };
        Ok(Self {
            crowd: Crowd::start(gateway, people, &settings)?,
            last: VisitCounts::default(),
        })
    }

    /// Lets them go on for so many more requests; the service's share of those
    /// that are split.
    async fn phase(&mut self, name: &str, requests: u64) -> Result<f64> {
        let goal = self.crowd.counts().requests + requests;
        deadline::poll(&format!("{requests} requests, {name}"), LIMIT, || {
            Ok((self.crowd.counts().requests >= goal).then_some(()))
        })
        .await?;
        let now = self.crowd.counts();
        ensure!(now.problems.is_empty(), "{name}: {:#?}", now.problems);
        let share = now.share(&self.last);
        println!(
            "{name}: {} requests, {:.0}% at the service",
            now.requests,
            share * 100.0
        );
        self.last = now;
        Ok(share)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn identity_moves() -> Result<()> {
    let mut stage = Stage::set().await?;
    let mut people = Person::all(&stage.scene.project).await?;
    let check = stage.banyan.check().await?;
    ensure!(check.ok, "{:#?}", check.findings);
    stage.serve().await?;
    stage.settled("planned", "monolith").await?;
    let gateway = stage
        .serve
        .as_ref()
        .context("it runs")?
        .gateway()
        .to_owned();
    let mut crowd = Visits::start(&gateway, &people)?;
    ensure!(crowd.phase("monolith alone", 200).await? == 0.0, "a share");

    stage.banyan.start().await?;
    stage.settled("following", "monolith").await?;
    ensure!(crowd.phase("following", 150).await? == 0.0, "a share");
    both_sides(&stage, &mut people, "monolith").await?;
    stage.banyan.shift("10%").await?;
    crowd.phase("10%", 200).await?;
    stage.banyan.shift("50%").await?;
    let half = crowd.phase("50%", 300).await?;
    ensure!((0.1..0.9).contains(&half), "a share of {half} at 50%");

    crowd.crowd.expect_a_crash(true);
    let mut serve = stage.serve.take().context("banyan is not running")?;
    serve.process().kill().await;
    stage.serve().await?;
    stage.settled("following", "monolith").await?;
    // Connections that the kill broke are found broken.
    crowd.phase("killed", 100).await?;
    crowd.crowd.expect_a_crash(false);

    stage.banyan.shift("100%").await?;
    let all = crowd.phase("100%", 300).await?;
    ensure!(all > 0.7, "a share of {all} at 100%");
    stage.switch().await?;
    stage.settled("switched", "service").await?;
    let switched = crowd.phase("switched", 400).await?;
    ensure!(switched > 0.9, "a share of {switched} after the switch");
    both_sides(&stage, &mut people, "service").await?;
    stage.rollback().await?;
    stage.settled("following", "monolith").await?;
    crowd.phase("rolled back", 200).await?;
    // What identity has issued is shown to the monolith again.
    stage.banyan.shift("30%").await?;
    let back = crowd.phase("30%", 400).await?;
    ensure!(back < 0.7, "a share of {back} at 30%");
    stage.switch().await?;
    stage.settled("switched", "service").await?;
    crowd.phase("switched again", 300).await?;

    let (counts, active) = crowd.crowd.finish().await?;
    judge(&stage, &counts, active, &people).await
}

/// What both sides say of each other's tokens while one of them owns.
async fn both_sides(stage: &Stage, people: &mut [Person], owner: &str) -> Result<()> {
    let (monolith, identity) = stage.sides();
    let (owner, follower) = match owner {
        "monolith" => (monolith, identity),
        _ => (identity, monolith),
    };
    let [first, second, ..] = people else {
        return Ok(());
    };
    sides::sessions_are_of_both(monolith, identity, first).await?;
    sides::sessions_are_of_both(identity, monolith, first).await?;
    let new = format!("set while {owner} owned");
    sides::a_password_ends_the_others(owner, follower, second, &new).await
}

async fn judge(
    stage: &Stage,
    counts: &VisitCounts,
    active: Vec<Person>,
    people: &[Person],
) -> Result<()> {
    println!("{:#?}", counts.by_side);
    println!(
        "{} requests, {} lost in the crash",
        counts.requests, counts.lost
    );
    ensure!(counts.problems.is_empty(), "{:#?}", counts.problems);
    for (what, least) in [
        ("login", 100),
        ("me", 500),
        ("refresh", 200),
        ("logged out", 20),
        ("register", 5),
        ("password", 5),
        ("former password", 5),
        ("exchange", 20),
    ] {
        let count = counts.of(what);
        ensure!(count >= least, "only {count} times: {what}");
    }

    let verified = stage.banyan.verify().await?;
    ensure!(verified.count() == 0, "{:?}", verified.differences);
    ensure!(verified.rows > 40, "only {} users", verified.rows);
    let (monolith_rows, service) = stage.tables().await?;
    ensure!(monolith_rows == service, "{monolith_rows}\n--\n{service}");
    // `last_login` is the only column that is null.
    let untouched = service.lines().filter(|line| line.contains(",,")).count();
    ensure!(
        untouched == service.lines().count(),
        "a login wrote: {service}"
    );

    // Whom the clients did not act for has the password of the beginning.
    let names: Vec<String> = active.iter().map(|one| one.username.clone()).collect();
    let idle = people.iter().filter(|one| !names.contains(&one.username));
    let (monolith, identity) = stage.sides();
    for person in active.iter().chain(idle) {
        sides::ensure_known(identity, person).await?;
        sides::ensure_known(monolith, person).await?;
        // Among them are hashes that Django would write anew.
        sides::ensure_known_of_old(monolith, person).await?;
    }
    let (after, _) = stage.tables().await?;
    ensure!(monolith_rows == after, "a login wrote: {after}");
    Ok(())
}
