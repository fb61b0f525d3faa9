//! The console in a browser, over a real `banyan serve`: from nothing to the service and
//! back, by its buttons; its pages in light, dark and 400 pixels wide; every button as it
//! is refused.

use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use testbed::banyan::Plan;
use testbed::binaries;
use testbed::browser::{Browser, Look};
use testbed::deadline;
use testbed::node;

const HOME: &str = "tests/cases/console";

const VIEWER: &str = "vera-key-0123456789";
const OPERATOR: &str = "olaf-key-0123456789";

/// What a page is judged by: WCAG 2.2, and what is good practice beside it.
const JUDGE: &str = "
    const done = arguments[arguments.length - 1];
    axe.run(document, { resultTypes: ['violations'] }).then(
        (found) => done(found.violations.map((one) =>
            `${one.id} (${one.impact}): ${one.help}: ` + one.nodes.slice(0, 5).map((node) => node.html + ' ' + node.failureSummary).join(' | '))),
        (error) => done([String(error)]));";

/// What a page has had loaded from elsewhere.
const FOREIGN: &str = "
    return performance.getEntriesByType('resource').map((one) => one.name)
        .filter((name) => !name.startsWith(location.origin + '/'));";

/// Pages of an extraction that has begun.
const PAGES: [&str; 15] = [
    "/console",
    "/console/extractions/contracts",
    "/console/extractions/contracts/evidence",
    "/console/extractions/contracts/retire",
    "/console/extractions/contracts/order/rehearse",
    "/console/extractions/contracts/order/shift",
    "/console/extractions/contracts/order/rollback",
    "/console/extractions/contracts/order/cancel",
    "/console/differences",
    "/console/routes",
    "/console/flags",
    "/console/approvals",
    "/console/report",
    "/console/freeze",
    "/console/none",
];

/// What is ordered of an extraction that has not begun, and what is said to it.
const REFUSED: [&str; 10] = [
    "verify", "shift", "withdraw", "switch", "rollback", "pause", "approve", "recopy", "cancel",
    "finish",
];

const LIMIT: Duration = Duration::from_mins(1);

struct Visit {
    browser: Browser,
    control: String,
    axe: String,
    pictures: PathBuf,
}

impl Visit {
    async fn begin(stage: &Stage) -> Result<Self> {
        let packages = node::packages(&binaries::repository().join(HOME)).await?;
        let axe = packages.join("node_modules/axe-core/axe.min.js");
        let pictures = binaries::target()?.join("console");
        fs::create_dir_all(&pictures)?;
        let home = stage.scene.directory().path().join("browser");
        let serve = stage.serve.as_ref().context("banyan is not running")?;
        Ok(Self {
            browser: Browser::start(&home).await?,
            control: serve.control().to_owned(),
            axe: fs::read_to_string(axe)?,
            pictures,
        })
    }

    async fn open(&self, path: &str) -> Result<()> {
        self.browser.open(&format!("{}{path}", self.control)).await
    }

    /// By key, as a person does.
    async fn sign_in(&self, key: &str) -> Result<()> {
        self.open("/console/sign-in").await?;
        self.browser.fill("input[name=key]", key).await?;
        self.browser.press("main button").await?;
        self.browser.shows("Migrations").await
    }

    /// Looks at a page in each way.
    async fn judge(&self, path: &str, name: &str) -> Result<()> {
        for look in Look::ALL {
            self.browser.look(look).await?;
            self.open(path).await?;
            let foreign = self.browser.run(FOREIGN).await?;
            ensure!(
                foreign.as_array().is_some_and(Vec::is_empty),
                "{path} asks others: {foreign}"
            );
            self.browser.run(&self.axe).await?;
            let found = self.browser.run_until_called(JUDGE).await?;
            let overflow = self.browser.overflow().await?;
            let file = format!("{name}-{}.png", look.name());
            self.browser.picture(&self.pictures.join(file)).await?;
            ensure!(
                found.as_array().is_some_and(Vec::is_empty),
                "{path} ({}): {found:#}",
                look.name()
            );
            ensure!(
                overflow <= 0,
                "{path} ({}) is {overflow} pixels too wide",
                look.name()
            );
        }
        self.browser.look(Look::Light).await
    }

    /// Presses a verb on the page that asks, and waits for what is said.
    async fn order(&self, verb: &str, wanted: &str) -> Result<()> {
        self.open(&format!("/console/extractions/contracts/order/{verb}"))
            .await?;
        if verb == "shift" {
            self.browser.fill("input[name=reads]", "50%").await?;
        }
        if ["recopy", "cancel", "finish"].contains(&verb) {
            self.browser.fill("input[name=name]", "contracts").await?;
        }
        self.browser.press("main button.primary").await?;
        self.browser
            .shows(wanted)
            .await
            .with_context(|| verb.to_owned())
    }
}

fn with_people(plan: Plan) -> Result<Plan> {
    let plan = plan.replace("\n    switch:", "\n    retire: { quiet: 14d }\n    switch:")?;
    plan.replace(
        "  listen: \"${CONTROL_LISTEN}\"\n",
        &format!(
            "  listen: \"${{CONTROL_LISTEN}}\"\n  grafana: https://grafana.example\n  keys:\n    vera: {{ role: viewer, key: {VIEWER} }}\n    \
             olaf: {{ role: operator, key: {OPERATOR} }}\n"
        ),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn console() -> Result<()> {
    let mut stage = Stage::set(with_people).await?;
    stage.serve(None).await?;
    let visit = Visit::begin(&stage).await?;
    let browser = &visit.browser;

    visit.judge("/console/sign-in", "sign-in").await?;
    refused(&visit).await?;

    // Whoever may read the state directory needs no key.
    let address = stage.banyan.console("anna").await?;
    browser.open(&address).await?;
    browser.shows("contracts needs you").await?;
    browser.shows("anna, operator").await?;
    browser.open(&address).await?;
    browser.shows("good once").await?;

    forth_and_back(&visit, &stage).await?;

    for (number, path) in PAGES.iter().enumerate() {
        let name = path.trim_start_matches("/console").replace('/', "-");
        visit.judge(path, &format!("{number:02}{name}")).await?;
    }
    retired(&visit, &stage).await
}

/// What is shown of an old side once the service keeps the data.
async fn retired(visit: &Visit, stage: &Stage) -> Result<()> {
    stage.switch().await?;
    stage.settled("switched", "service").await?;
    let finished = stage.banyan.run("finish", &["contracts", "--yes"]).await?;
    finished.successful()?;
    visit.sign_in(VIEWER).await?;
    let page = "/console/extractions/contracts/retire";
    deadline::until("the evidence to begin", LIMIT, async || {
        visit.open(page).await?;
        let shown = "return document.body.textContent.includes('it was looked at from then on')";
        Ok((visit.browser.run(shown).await? == true).then_some(()))
    })
    .await?;
    visit
        .browser
        .shows("Nobody may use the old side for 14 d.")
        .await?;
    visit.judge(page, "finished-retire").await?;
    visit
        .judge("/console/extractions/contracts", "finished")
        .await?;
    // What happened leads to its entry in the journal.
    let first = "return document.querySelector('.log a').getAttribute('href')";
    let entry = visit.browser.run(first).await?;
    let entry = entry.as_str().context("the log leads nowhere")?.to_owned();
    visit.judge(&entry, "decision").await?;
    visit.browser.shows("of the journal").await
}

/// Every button, as it is refused: to a role that may not, and where it cannot be.
async fn refused(visit: &Visit) -> Result<()> {
    let browser = &visit.browser;
    visit.open("/console/sign-in").await?;
    browser
        .fill("input[name=key]", "nobodys-key-0123456789")
        .await?;
    browser.press("main button").await?;
    browser.shows("not known here").await?;

    visit.sign_in(VIEWER).await?;
    visit.open("/console/extractions/contracts").await?;
    browser
        .shows("Needs the role operator; yours is viewer.")
        .await?;
    let offered = "return document.querySelectorAll('.next a, .next button:not(:disabled)').length";
    ensure!(browser.run(offered).await? == 0, "offered to a viewer");
    visit
        .judge("/console/extractions/contracts", "viewer")
        .await?;

    visit.sign_in(OPERATOR).await?;
    for verb in REFUSED {
        if verb == "approve" {
            let page = format!("/console/extractions/contracts/order/{verb}");
            visit.open(&page).await?;
            browser
                .shows("Needs the role approver; yours is operator.")
                .await?;
            continue;
        }
        visit.order(verb, "was not done").await?;
    }
    browser.picture(&visit.pictures.join("refusal.png")).await
}

/// Copied, proven, shifted, switched and rolled back by the page's buttons.
async fn forth_and_back(visit: &Visit, stage: &Stage) -> Result<()> {
    let browser = &visit.browser;
    visit.sign_in(OPERATOR).await?;
    visit.open("/console/extractions/contracts").await?;
    browser.press("#order-start").await?;
    browser
        .shows("Prove that both sides have the same rows.")
        .await?;
    browser.press("#order-verify").await?;
    browser.shows("rows compared, 0 differ.").await?;
    browser.press("#order-shift").await?;
    browser.press("main button.primary").await?;
    browser
        .shows("5 % of the readers are at the service now.")
        .await?;

    // What somebody else does is seen without loading the page.
    browser.run("window.isTheSamePage = true").await?;
    stage.banyan.shift("100%").await?;
    browser.shows("Hand the writes over.").await?;
    let same = browser.run("return window.isTheSamePage === true").await?;
    ensure!(same == true, "the page was loaded again");

    visit
        .order("rehearse", "it got through, and was undone")
        .await?;
    browser
        .shows("By one rehearsal, writes would pause for")
        .await?;

    browser.press("#order-switch").await?;
    browser
        .shows("Hands the writes over to the service")
        .await?;
    browser.press("main button.primary").await?;
    stage.settled("switched", "service").await?;
    visit.open("/console/extractions/contracts").await?;
    browser.shows("It is watched").await?;
    visit
        .judge("/console/extractions/contracts", "switched")
        .await?;
    browser.press("#order-rollback").await?;
    browser.press("main button.primary").await?;
    stage.settled("following", "monolith").await?;
    visit.open("/console").await?;
    browser.shows("The monolith owns its data still").await
}
