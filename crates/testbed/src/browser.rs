//! A browser without a screen: Debian's Chromium, driven by its chromedriver.
//!
//! The protocol (W3C WebDriver) is a dozen calls with JSON, which our own client of HTTP makes:
//! `thirtyfour` and `fantoccini` would bring a hundred crates and other features of those
//! that are there, so that all of them were built once more.

use crate::{
    http_client::{self, Call},
    ports,
    process::{Process, Spec},
};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::MetadataExt, path::Path, time::Duration};

/// Both start slowly on a busy machine.
const START_LIMIT: Duration = Duration::from_mins(1);

/// For one command: a page may be large, and axe looks at all of it.
const COMMAND_LIMIT: Duration = Duration::from_mins(1);

/// The name of an element's reference, by the protocol.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// The key that goes on to what can be used next, by the protocol.
pub const TAB: &str = "\u{e004}";

/// The key that uses what has the focus, by the protocol.
pub const ENTER: &str = "\u{e007}";

/// For what a page becomes.
const PAGE_LIMIT: Duration = Duration::from_secs(30);

/// A running browser. Dropping it ends it.
pub struct Browser {
    driver: String,
    session: String,
    _process: Process,
}

/// How a page is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// On paper, on a desk.
    Light,
    /// At night.
    Dark,
    /// On a telephone.
    Narrow,
}

impl Look {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Light, Self::Dark, Self::Narrow];

    /// For the name of a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
            Self::Narrow => "narrow",
        }
    }

    fn width(self) -> u64 {
        match self {
            Self::Light | Self::Dark => 1280,
            Self::Narrow => 400,
        }
    }

    fn scheme(self) -> &'static str {
        match self {
            Self::Dark => "dark",
            Self::Light | Self::Narrow => "light",
        }
    }
}

impl Browser {
    /// Starts one. Its files are in `home`.
    pub async fn start(home: &Path) -> Result<Self> {
        let port = ports::free()?;
        // What both leave for others to find lies in the temporary directory.
        let temporary = home.join("tmp");
        fs::create_dir_all(&temporary)?;
        let driver = Spec::new("chromedriver", "chromedriver")
            .arg(format!("--port={port}"))
            .env("TMPDIR", &temporary)
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home)
            .env("XDG_CACHE_HOME", home);
        let mut driver = Process::start(&driver, home)
            .context("chromedriver; on Debian it is the package chromium-driver")?;
        let profile = home.join("profile");
        let mut arguments = vec![
            "--headless=new".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--hide-scrollbars".to_owned(),
            // What it would ask its maker by itself is no request of a page.
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            format!("--user-data-dir={}", profile.display()),
        ];
        if fs::metadata("/proc/self")?.uid() == 0 {
            // It refuses root otherwise.
            arguments.push("--no-sandbox".to_owned());
        }
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": arguments },
        } } });
        let address = format!("http://127.0.0.1:{port}");
        let until = tokio::time::Instant::now() + START_LIMIT;
        let session = loop {
            let call = Call::post("/session", &capabilities);
            match command(&address, &call).await {
                Ok(session) => break session,
                Err(error) if tokio::time::Instant::now() >= until => {
                    return Err(error).context("no browser was started");
                }
                Err(_) => {
                    driver.ensure_running()?;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        };
        let id = session["sessionId"].as_str().context("no session")?;
        Ok(Self {
            driver: address,
            session: id.to_owned(),
            _process: driver,
        })
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value> {
        let path = format!("/session/{}/{path}", self.session);
        command(&self.driver, &Call::post(path, &body)).await
    }

    async fn get(&self, path: &str) -> Result<Value> {
        let path = format!("/session/{}/{path}", self.session);
        command(&self.driver, &Call::get(path)).await
    }

    /// The reference of what a selector finds.
    async fn find(&self, selector: &str) -> Result<String> {
        let query = json!({ "using": "css selector", "value": selector });
        let found = self.post("element", query).await;
        let found = found.with_context(|| selector.to_owned())?;
        let id = found[ELEMENT].as_str().context("no reference")?;
        Ok(id.to_owned())
    }

    /// Loads a page.
    pub async fn open(&self, url: &str) -> Result<()> {
        self.post("url", json!({ "url": url })).await.map(drop)
    }

    /// The text of a page, as it is shown.
    pub async fn text(&self) -> Result<String> {
        let text = self.run("return document.body.innerText").await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Waits until a page shows a text.
    pub async fn shows(&self, wanted: &str) -> Result<()> {
        let until = tokio::time::Instant::now() + PAGE_LIMIT;
        loop {
            let text = self.text().await.unwrap_or_default();
            if text.contains(wanted) {
                return Ok(());
            }
            ensure!(
                tokio::time::Instant::now() < until,
                "the page does not show `{wanted}`, but:\n{text}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Presses what a selector finds; again where a page that follows the status has put
    /// another one in its place meanwhile.
    pub async fn press(&self, selector: &str) -> Result<()> {
        let until = tokio::time::Instant::now() + PAGE_LIMIT;
        loop {
            let pressed = async {
                let found = self.find(selector).await?;
                self.post(&format!("element/{found}/click"), json!({}))
                    .await
            };
            match pressed.await {
                Ok(_) => return Ok(()),
                Err(error) if tokio::time::Instant::now() >= until => {
                    return Err(error).context(selector.to_owned());
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// Types into what a selector finds, in place of what is there.
    pub async fn fill(&self, selector: &str, text: &str) -> Result<()> {
        let found = self.find(selector).await?;
        self.post(&format!("element/{found}/clear"), json!({}))
            .await?;
        let keys = json!({ "text": text });
        let typed = self.post(&format!("element/{found}/value"), keys).await;
        typed.map(drop)
    }

    /// Strikes keys, wherever the page has its focus.
    pub async fn key(&self, keys: &str) -> Result<()> {
        let strokes = keys.chars().flat_map(|key| {
            ["keyDown", "keyUp"].map(|what| json!({ "type": what, "value": key.to_string() }))
        });
        let strokes: Vec<_> = strokes.collect();
        let keyboard = json!({ "actions": [
            { "type": "key", "id": "keyboard", "actions": strokes },
        ] });
        self.post("actions", keyboard).await.map(drop)
    }

    /// Runs a script in the page.
    pub async fn run(&self, script: &str) -> Result<Value> {
        let script = json!({ "script": script, "args": [] });
        self.post("execute/sync", script).await
    }

    /// Runs one that calls its last argument when it is done.
    pub async fn run_until_called(&self, script: &str) -> Result<Value> {
        let script = json!({ "script": script, "args": [] });
        self.post("execute/async", script).await
    }

    /// Looks at pages in another way from now on.
    pub async fn look(&self, look: Look) -> Result<()> {
        let scheme = json!([{ "name": "prefers-color-scheme", "value": look.scheme() }]);
        self.develop("Emulation.setEmulatedMedia", json!({ "features": scheme }))
            .await?;
        let size = json!({
            "width": look.width(), "height": 900, "deviceScaleFactor": 1, "mobile": false
        });
        self.develop("Emulation.setDeviceMetricsOverride", size)
            .await
            .map(drop)
    }

    /// A picture of the whole page.
    pub async fn picture(&self, file: &Path) -> Result<()> {
        // What moves would be another picture each time.
        let whole = "return Math.ceil(document.documentElement.scrollHeight)";
        let height = self.run(whole).await?.as_u64().unwrap_or(900).max(900);
        let width = self.run("return window.innerWidth").await?;
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false
        });
        self.develop("Emulation.setDeviceMetricsOverride", size)
            .await?;
        let picture = self.get("screenshot").await?;
        let picture = picture.as_str().context("no picture")?;
        Ok(fs::write(file, decoded(picture)?)?)
    }

    /// How much wider a page is than what it is shown in, in pixels.
    pub async fn overflow(&self) -> Result<i64> {
        let script = "return document.documentElement.scrollWidth - window.innerWidth";
        Ok(self.run(script).await?.as_i64().unwrap_or_default())
    }

    /// A command that only Chromium has.
    async fn develop(&self, command: &str, parameters: Value) -> Result<Value> {
        let command = json!({ "cmd": command, "params": parameters });
        self.post("goog/cdp/execute", command).await
    }
}

/// What the driver answers.
async fn command(driver: &str, call: &Call) -> Result<Value> {
    let answer = http_client::call(driver, call, COMMAND_LIMIT).await?;
    let mut body = answer.json();
    let value = body["value"].take();
    if !answer.status.is_success() {
        bail!("{}: {}", value["error"], value["message"]);
    }
    Ok(value)
}

/// Base64, as the protocol has pictures.
fn decoded(text: &str) -> Result<Vec<u8>> {
    use base64::Engine as _;
    Ok(base64::engine::general_purpose::STANDARD.decode(text)?)
}
