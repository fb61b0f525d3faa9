//! A step that waits for a person, and one that needs more requests: by keys alone, and
//! each form beside it, done and refused.

use super::{
    people::{APPROVER, OPERATOR, with_people},
    visit::Visit,
};
use crate::stage::Stage;
use anyhow::{Result, ensure};
use std::time::Duration;
use testbed::{
    banyan::Plan,
    browser::{ENTER, TAB},
    deadline,
};

const LIMIT: Duration = Duration::from_mins(1);

/// More than a page has that can be used.
const TABS: usize = 60;

const PAGE: &str = "/console/extractions/contracts";

fn with_steps(plan: Plan) -> Result<Plan> {
    let key = "      key: { header: x-user-id }\n    switch:";
    let steps = "      key: { header: x-user-id }\n      \
        steps: [{ reads: 50%, for: 1s, approval: the lead agrees, checklist: [go-live] }]\n      \
        gates: { error-rate: { max: 5% }, requests: 20 }\n    switch:";
    let lists = "\nchecklists:\n  lists:\n    go-live: [databases, ticket]\n\nextractions:\n";
    with_people(
        plan.replace(key, steps)?
            .replace("\nextractions:\n", lists)?,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_waits_in_the_console() -> Result<()> {
    let mut stage = Stage::set(with_steps).await?;
    stage.serve(None).await?;
    stage.banyan.start().await?;
    let visit = Visit::begin(&stage).await?;
    let browser = &visit.browser;

    checklist(&visit).await?;

    visit.open("/console/sign-in").await?;
    browser.key(&format!("{APPROVER}{ENTER}")).await?;
    browser.shows("Migrations").await?;
    deadline::until("the step to wait for its approval", LIMIT, async || {
        visit.open("/console/approvals").await?;
        let waits = "return document.getElementById('order-approve') !== null";
        Ok((browser.run(waits).await? == true).then_some(()))
    })
    .await?;
    visit.judge("/console/approvals", "steps-waiting").await?;
    visit
        .judge(&format!("{PAGE}/order/approve"), "steps-approve")
        .await?;
    approved_by_keys(&visit).await?;

    deadline::until("the step to begin", LIMIT, async || {
        Ok((stage.status_as_json().await?["reads_percent"] == 50.0).then_some(()))
    })
    .await?;
    visit.open(PAGE).await?;
    browser.shows("GATES OF THIS STEP").await?;
    visit.judge(PAGE, "steps-gates").await?;
    visit
        .judge(&format!("{PAGE}/evidence"), "steps-evidence")
        .await?;
    visit.order("start", "was not done").await?;
    halted(&visit).await?;
    explained(&visit).await?;

    browser.press("header form button").await?;
    browser.shows("Sign in").await?;
    visit.open(PAGE).await?;
    let signed_out = "return location.pathname";
    ensure!(browser.run(signed_out).await? == "/console/sign-in");
    Ok(())
}

/// What is to be done before: checked, attested; and refused of what no list has.
async fn checklist(visit: &Visit) -> Result<()> {
    let browser = &visit.browser;
    visit.sign_in(APPROVER).await?;
    for (form, done) in [
        ("check", "databases of contracts was checked."),
        ("attest", "ticket of contracts is attested."),
    ] {
        let forms = format!("section[aria-label^=go-live] form[action$='/{form}']");
        for is_known in [false, true] {
            visit.open("/console/approvals").await?;
            if !is_known {
                let other = format!(
                    "document.querySelector(\"{forms} input[name=item]\").value = 'nothing'"
                );
                browser.run(&other).await?;
            }
            if form == "attest" {
                browser
                    .fill(&format!("{forms} input[name=note]"), "CHG-7")
                    .await?;
            }
            browser.press(&format!("{forms} button")).await?;
            let wanted = if is_known { done } else { "It was not done" };
            browser.shows(wanted).await?;
        }
    }
    Ok(())
}

/// Presses nothing: the skip link, the button of the list, the page that asks.
async fn approved_by_keys(visit: &Visit) -> Result<()> {
    let browser = &visit.browser;
    visit.open("/console/approvals").await?;
    browser.key(TAB).await?;
    let focus = "return document.activeElement.className";
    ensure!(browser.run(focus).await? == "skip", "what is reached first");
    browser.key(ENTER).await?;
    let focus = "return document.activeElement.id";
    ensure!(browser.run(focus).await? == "main", "the link skips");
    tab_to(visit, "#order-approve").await?;
    browser.key(ENTER).await?;
    browser.shows("To be approved").await?;
    tab_to(visit, "input[name=note]").await?;
    browser.key("agreed").await?;
    tab_to(visit, "main button.primary").await?;
    browser.key(ENTER).await?;
    visit.open("/console/approvals").await?;
    browser.shows("agreed").await
}

/// Goes on by keys until a selector's element has the focus, and is seen to have it.
async fn tab_to(visit: &Visit, selector: &str) -> Result<()> {
    let has_focus = format!(
        "return document.activeElement.matches('{selector}') && \
         getComputedStyle(document.activeElement).outlineStyle !== 'none'"
    );
    for _ in 0..TABS {
        visit.browser.key(TAB).await?;
        if visit.browser.run(&has_focus).await? == true {
            return Ok(());
        }
    }
    anyhow::bail!("{selector} is not reached by keys, or is not seen to be")
}

/// Halted, and not let go by a page that saw another halt.
async fn halted(visit: &Visit) -> Result<()> {
    let browser = &visit.browser;
    visit.sign_in(OPERATOR).await?;
    visit.open("/console/freeze").await?;
    browser.press("main button.primary").await?;
    browser.shows("All automatic steps are halted").await?;
    visit.judge("/console/freeze", "steps-halted").await?;
    visit.open("/console/freeze").await?;
    let other = "document.querySelector('input[name=halted]').value = 'another'";
    browser.run(other).await?;
    browser.press("main button.primary").await?;
    browser.shows("It was not done").await?;
    visit.open("/console/freeze").await?;
    browser.press("main button.primary").await?;
    browser.shows("The plan's steps go on.").await
}

/// Where a request would go; and what is no request.
async fn explained(visit: &Visit) -> Result<()> {
    let browser = &visit.browser;
    for (url, wanted) in [("no path", "notice"), ("/api/contracts/7", "explanation")] {
        visit.open("/console/routes").await?;
        browser.fill("input[name=url]", url).await?;
        browser.press("main button.primary").await?;
        let told = format!("return document.querySelector('.{wanted}, #{wanted}') !== null");
        deadline::until(wanted, LIMIT, async || {
            Ok((browser.run(&told).await? == true).then_some(()))
        })
        .await?;
        visit.judge_shown(&format!("steps-{wanted}")).await?;
    }
    Ok(())
}
