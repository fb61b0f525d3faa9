//! The console in a browser, over a real `banyan serve`: from nothing to the service and
//! back, by its buttons; its pages in light, dark and 400 pixels wide; every button as it
//! is refused; and a step that waits, by the keys of a keyboard.

mod people;
mod steps;
mod visit;

use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use people::{OPERATOR, VIEWER, with_people};
use std::time::Duration;
use testbed::deadline;
use visit::Visit;

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
const REFUSED: [&str; 11] = [
    "verify", "rehearse", "shift", "withdraw", "switch", "rollback", "pause", "approve", "recopy",
    "cancel", "finish",
];

const LIMIT: Duration = Duration::from_mins(1);

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
    visit.open("/console/freeze").await?;
    browser
        .shows("Needs the role operator; yours is viewer.")
        .await?;
    visit.open("/console/extractions/contracts").await?;
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
