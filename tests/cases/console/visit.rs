//! A person's visit to the console, with a browser.

use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use std::{fs, path::PathBuf};
use testbed::{
    binaries,
    browser::{Browser, Look},
    node,
};

const HOME: &str = "tests/cases/console";

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

/// A browser, and where it looks.
pub(super) struct Visit {
    pub(super) browser: Browser,
    control: String,
    axe: String,
    pub(super) pictures: PathBuf,
}

impl Visit {
    pub(super) async fn begin(stage: &Stage) -> Result<Self> {
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

    pub(super) async fn open(&self, path: &str) -> Result<()> {
        self.browser.open(&format!("{}{path}", self.control)).await
    }

    /// By key, as a person does.
    pub(super) async fn sign_in(&self, key: &str) -> Result<()> {
        self.open("/console/sign-in").await?;
        self.browser.fill("input[name=key]", key).await?;
        self.browser.press("main button").await?;
        self.browser.shows("Migrations").await
    }

    /// Looks at a page in each way.
    pub(super) async fn judge(&self, path: &str, name: &str) -> Result<()> {
        for look in Look::ALL {
            self.browser.look(look).await?;
            self.open(path).await?;
            self.judge_shown(&format!("{name}-{}", look.name()))
                .await
                .with_context(|| path.to_owned())?;
        }
        self.browser.look(Look::Light).await
    }

    /// Looks at the page that is shown, as it is looked at now.
    pub(super) async fn judge_shown(&self, name: &str) -> Result<()> {
        let foreign = self.browser.run(FOREIGN).await?;
        ensure!(
            foreign.as_array().is_some_and(Vec::is_empty),
            "it asks others: {foreign}"
        );
        self.browser.run(&self.axe).await?;
        let found = self.browser.run_until_called(JUDGE).await?;
        let overflow = self.browser.overflow().await?;
        self.browser
            .picture(&self.pictures.join(format!("{name}.png")))
            .await?;
        ensure!(
            found.as_array().is_some_and(Vec::is_empty),
            "{name}: {found:#}"
        );
        ensure!(overflow <= 0, "{name} is {overflow} pixels too wide");
        Ok(())
    }

    /// Presses a verb on the page that asks, and waits for what is said.
    pub(super) async fn order(&self, verb: &str, wanted: &str) -> Result<()> {
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
