//! Every command of docs/first-extraction.md, in its order, on an Express and on a Django
//! monolith: what a newcomer types is what is tried.
//!
//! The page becomes one shell script: a `yaml` block writes the file that it names, an `sql` block
//! goes to the database that it names, an `sh` block is itself. What is not run says `text`.

use anyhow::{Context, Result, ensure};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use testbed::cluster::{Cluster, Options, Rights, SUPERUSER};
use testbed::directory::PrivateDirectory;
use testbed::process::{self, Process, Spec};
use testbed::python::Environment;
use testbed::{binaries, http_client, node, ports};

const HOME: &str = "tests/cases/first_extraction";
const START_LIMIT: Duration = Duration::from_mins(1);
const SCRIPT_LIMIT: Duration = Duration::from_mins(3);
/// The page's own, replaced by free ones.
const GATEWAY: &str = "127.0.0.1:8080";
/// What the page gives Banyan's role.
const PASSWORD: &str = "a-password";
/// Fewer would mean that the page is read wrongly.
const COMMANDS_MIN: usize = 15;

/// The page as a script, and how many commands of Banyan's it runs.
fn script(page: &str, gateway: &str, control: &str) -> Result<(String, usize)> {
    let mut script = "set -eu\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n".to_owned();
    let mut commands = 0;
    let mut rest = page;
    while let Some((_, after)) = rest.split_once("\n```") {
        let (kind, after) = after.split_once('\n').context("a block's first line")?;
        let (block, after) = after.split_once("\n```").context("a block's end")?;
        rest = after;
        match kind.split(' ').collect::<Vec<_>>()[..] {
            ["text"] => {}
            ["sh"] => {
                commands += block
                    .lines()
                    .filter(|line| line.starts_with("banyan "))
                    .count();
                script.push_str(block);
                script.push('\n');
            }
            ["yaml", file] => {
                let control = format!("control: {{ listen: \"{control}\" }}");
                write!(
                    script,
                    "cat > {file} <<'BLOCK'\n{block}\n{control}\nBLOCK\n"
                )?;
            }
            ["sql", side] => {
                let database = side.to_uppercase();
                write!(
                    script,
                    "psql \"$ADMIN_{database}\" -qXv ON_ERROR_STOP=1 <<'BLOCK'\n{block}\nBLOCK\n"
                )?;
            }
            ref other => anyhow::bail!("a block of the kind {other:?}"),
        }
    }
    Ok((script.replace(GATEWAY, gateway), commands))
}

#[derive(Clone, Copy)]
enum Framework {
    Express,
    Django,
}

struct Shop {
    directory: PrivateDirectory,
    monolith: Cluster,
    service: Cluster,
}

impl Shop {
    async fn open() -> Result<Self> {
        let directory = PrivateDirectory::new()?;
        let mut monolith = Cluster::create(&directory, "monolith", &Options::fast()).await?;
        monolith.create_role("shop", Rights::Plain).await?;
        monolith.create_database("shop", "shop").await?;
        let mut service = Cluster::create(&directory, "orders", &Options::fast()).await?;
        service.create_role("orders_app", Rights::Plain).await?;
        service.create_database("orders", "orders_app").await?;
        Ok(Self {
            directory,
            monolith,
            service,
        })
    }

    fn logs(&self) -> PathBuf {
        self.directory.path().join("logs")
    }

    async fn express(
        &self,
        name: &str,
        port: u16,
        database: &str,
        schema: &str,
    ) -> Result<Process> {
        let home = binaries::repository().join(HOME);
        let packages = node::packages(&home).await?;
        let spec = Spec::new(name, "node")
            .arg(home.join("shop.js"))
            .env("NODE_PATH", packages.join("node_modules"))
            .env("PORT", port.to_string())
            .env("DATABASE_URL", database)
            .env("SCHEMA", schema)
            .env("APPLICATION_NAME", format!("{name}-web"));
        self.started(spec, port).await
    }

    async fn started(&self, spec: Spec, port: u16) -> Result<Process> {
        let mut process = Process::start(&spec, &self.logs())?;
        let url = format!("http://127.0.0.1:{port}");
        http_client::until_healthy(&url, "/health", START_LIMIT, || process.ensure_running())
            .await
            .with_context(|| process.log_tail())?;
        Ok(process)
    }

    async fn django(&self, port: u16) -> Result<Process> {
        let requirements = "examples/land-contracts/monolith/requirements.txt";
        let python = Environment::ensure(&binaries::repository().join(requirements)).await?;
        let url = self.monolith.url("shop", "shop")?;
        let password = url.split(['@', ':']).nth(2).context("the password")?;
        let spec = |name: &str, verb: &str| {
            Spec::new(name, python.program("python"))
                .arg(binaries::repository().join(HOME).join("shop.py"))
                .arg(verb)
                .env("PGDATABASE_NAME", "shop")
                .env("DATABASE_USER", "shop")
                .env("DATABASE_PASSWORD", password)
                .env("DATABASE_PORT", self.monolith.port().to_string())
                .env("PORT", port.to_string())
        };
        process::run(&spec("migrate", "migrate"), START_LIMIT)
            .await?
            .successful()?;
        self.started(spec("shop", "serve"), port).await
    }

    fn administrator(cluster: &Cluster, database: &str) -> Result<String> {
        let sockets = cluster.socket();
        let sockets = sockets.parent().context("the sockets' directory")?;
        Ok(format!(
            "host={} port={} user={SUPERUSER} dbname={database}",
            sockets.display(),
            cluster.port()
        ))
    }
}

async fn first_extraction(framework: Framework) -> Result<()> {
    let shop = Shop::open().await?;
    let (monolith_port, service_port) = (ports::free()?, ports::free()?);
    let _monolith = match framework {
        Framework::Express => {
            let tables = fs::read_to_string(binaries::repository().join(HOME).join("shop.sql"))?;
            let client = shop.monolith.client("shop", "shop").await?;
            client.batch_execute(&tables).await?;
            let url = shop.monolith.url("shop", "shop")?;
            shop.express("shop", monolith_port, &url, "public").await?
        }
        Framework::Django => shop.django(monolith_port).await?,
    };
    let url = shop.service.url("orders_app", "orders")?;
    let _service = shop.express("orders", service_port, &url, "orders").await?;

    let page = fs::read_to_string(binaries::repository().join("docs/first-extraction.md"))?;
    let address = || ports::free().map(|port| format!("127.0.0.1:{port}"));
    let (script, commands) = script(&page, &address()?, &address()?)?;
    ensure!(commands >= COMMANDS_MIN, "only {commands} commands");
    println!("{commands} commands of Banyan's");
    let ran = run(&shop, &script, monolith_port, service_port).await?;
    println!("{ran}");

    // What the page's one order left, on both sides: it was made at the service, and has come
    // back. The page ends with `cancel`, which takes the service's rows away.
    let client = shop.monolith.superuser("shop").await?;
    let row = client
        .query_one("select count(*), max(quantity) from order_items", &[])
        .await?;
    ensure!(
        (row.get::<_, i64>(0), row.get::<_, i32>(1)) == (1, 3),
        "{row:?}"
    );
    for cluster in [(&shop.monolith, "shop"), (&shop.service, "orders")] {
        let client = cluster.0.superuser(cluster.1).await?;
        let left = "select count(*) from pg_namespace where nspname = 'banyan'";
        let left: i64 = client.query_one(left, &[]).await?.get(0);
        ensure!(left == 0, "schema banyan is still there");
    }
    Ok(())
}

async fn run(shop: &Shop, script: &str, monolith: u16, service: u16) -> Result<String> {
    let work = shop.directory.path().join("work");
    fs::create_dir_all(&work)?;
    let programs = binaries::find("banyan")?;
    let programs = programs.parent().unwrap_or(Path::new("/"));
    let path = std::env::var("PATH")?;
    let url = |cluster: &Cluster, database: &str| {
        format!(
            "postgres://banyan:{PASSWORD}@127.0.0.1:{}/{database}",
            cluster.port()
        )
    };
    let spec = Spec::new("first-extraction", "sh")
        .args(["-c", script])
        .directory(&work)
        .env("PATH", format!("{}:{path}", programs.display()))
        .env("MONOLITH_URL", format!("http://127.0.0.1:{monolith}"))
        .env("ORDERS_URL", format!("http://127.0.0.1:{service}"))
        .env("MONOLITH_DATABASE_URL", url(&shop.monolith, "shop"))
        .env("ORDERS_DATABASE_URL", url(&shop.service, "orders"))
        .env(
            "ADMIN_MONOLITH",
            Shop::administrator(&shop.monolith, "shop")?,
        )
        .env(
            "ADMIN_SERVICE",
            Shop::administrator(&shop.service, "orders")?,
        );
    let finished = process::run(&spec, SCRIPT_LIMIT).await?;
    let text = format!("{}\n{}", finished.stdout, finished.stderr);
    finished.successful().with_context(|| text.clone())?;
    Ok(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn from_express() -> Result<()> {
    first_extraction(Framework::Express).await
}

#[tokio::test(flavor = "multi_thread")]
async fn from_django() -> Result<()> {
    first_extraction(Framework::Django).await
}
