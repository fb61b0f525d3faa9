//! A session that runs random transactions until it is told to stop.

use super::{
    LEDGER, Schema, dice,
    transaction::{Drawer, End, Step, Transaction},
};
use crate::deadline;
use anyhow::{Context, Result, bail, ensure};
use rand::RngExt;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::{sync::watch, task::JoinHandle};
use tokio_postgres::{Client, Config, Error, NoTls, error::SqlState};

/// Longer than any transaction waits, and any server takes to be back.
const LIMIT: Duration = Duration::from_mins(3);

/// After a refusal, so that a side that is fenced, or is not there, is not asked
/// all the time.
const PAUSE: Duration = Duration::from_millis(20);

/// Between two transactions at most: whoever locks all tables waits for a moment
/// in which none is written.
const LONGEST_THOUGHT: Duration = Duration::from_millis(30);

/// What a writer was told of its transactions, by their names in the ledger.
#[derive(Debug, Clone, Default)]
pub struct Acknowledged {
    /// Committed.
    pub acknowledged: BTreeSet<String>,
    /// Not committed: refused, failed or rolled back.
    pub refused: BTreeSet<String>,
    /// How many met a fence.
    pub fenced: u64,
    /// How many statements failed, each undone by its savepoint.
    pub undone: u64,
    /// How often its server went away.
    pub broken: u64,
    /// How many of the acknowledged lost their answer: the server had to be asked.
    pub asked: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Work,
    Pause,
    Stop,
}

#[derive(Debug, Clone, Copy, Default)]
struct WriterProgress {
    acknowledged: u64,
    is_idle: bool,
}

/// A writer at work.
#[derive(Debug)]
pub struct Writer {
    order: watch::Sender<Order>,
    seen: watch::Receiver<WriterProgress>,
    task: JoinHandle<Result<Acknowledged>>,
}

impl Writer {
    /// Starts one in a schema of the application's database, where it connects
    /// again after its server was gone. `number` tells the writers of one seed
    /// apart.
    pub async fn start(
        database: Config,
        schema: Arc<Schema>,
        place: &'static str,
        seed: u64,
        number: u32,
    ) -> Result<Self> {
        let client = connect(&database).await?;
        let (order, ordered) = watch::channel(Order::Work);
        let (progress, view) = watch::channel(WriterProgress::default());
        let clerk = Clerk::new(client, schema, place, seed, number);
        let task = tokio::spawn(work(clerk, database, ordered, progress));
        Ok(Self {
            order,
            seen: view,
            task,
        })
    }

    /// How many transactions were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.seen.borrow().acknowledged
    }

    /// Lets it end its transaction and begin no other; returns when it has.
    pub async fn pause(&mut self) -> Result<()> {
        self.order.send_replace(Order::Pause);
        self.until("it is idle", |seen| seen.is_idle).await
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.order.send_replace(Order::Work);
    }

    /// Ends it, and says what it was told.
    pub async fn stop(self) -> Result<Acknowledged> {
        self.order.send_replace(Order::Stop);
        tokio::time::timeout(LIMIT, self.task)
            .await
            .context("a writer does not end")??
    }

    async fn until(
        &mut self,
        what: &str,
        holds: impl FnMut(&WriterProgress) -> bool,
    ) -> Result<()> {
        match tokio::time::timeout(LIMIT, self.seen.wait_for(holds)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => match (&mut self.task).await? {
                Ok(_) => bail!("a writer has ended before {what}"),
                Err(error) => Err(error),
            },
            Err(_) => bail!("a writer waits for more than a minute until {what}"),
        }
    }
}

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It is committed.
    Acknowledged,
    /// It is not.
    Refused {
        /// Because the other side owns the data.
        by_fence: bool,
    },
}

async fn work(
    mut clerk: Clerk,
    database: Config,
    mut ordered: watch::Receiver<Order>,
    progress: watch::Sender<WriterProgress>,
) -> Result<Acknowledged> {
    let mut told = Acknowledged::default();
    loop {
        let order = *ordered.borrow_and_update();
        match order {
            Order::Stop => {
                told.undone = clerk.undone;
                return Ok(told);
            }
            Order::Pause => {
                progress.send_modify(|seen| seen.is_idle = true);
                ordered.changed().await.context("nobody gives orders")?;
                progress.send_modify(|seen| seen.is_idle = false);
                continue;
            }
            Order::Work => {}
        }
        let ended = match clerk.transact().await {
            Err(error) if is_broken(&error) => {
                told.broken += 1;
                let ended = clerk.ask(&database).await?;
                told.asked += u64::from(matches!(ended, (Some(_), Ended::Acknowledged)));
                ended
            }
            ended => ended?,
        };
        match ended {
            (Some(id), Ended::Acknowledged) => {
                told.acknowledged.insert(id);
                progress.send_modify(|seen| seen.acknowledged += 1);
            }
            (Some(id), Ended::Refused { by_fence }) => {
                told.refused.insert(id);
                told.fenced += u64::from(by_fence);
                if by_fence {
                    tokio::time::sleep(PAUSE).await;
                }
            }
            (None, _) => {}
        }
        tokio::time::sleep(clerk.thought()).await;
    }
}

/// A session of an application, and what it will do next.
pub struct Clerk {
    client: Client,
    drawer: Drawer,
    undone: u64,
    /// The name of its last transaction.
    last: Option<String>,
}

impl Clerk {
    /// One over a session, in a schema of its database. `number` tells those of
    /// one seed apart.
    pub fn new(
        client: Client,
        schema: Arc<Schema>,
        place: &'static str,
        seed: u64,
        number: u32,
    ) -> Self {
        let drawer = Drawer {
            schema,
            place,
            rare: true,
            dice: dice(seed, u64::from(number) + 100),
            writer: number,
            number: 0,
        };
        Self {
            client,
            drawer,
            undone: 0,
            last: None,
        }
    }

    /// The same without what only few applications do.
    #[must_use]
    pub fn usual(mut self) -> Self {
        self.drawer.rare = false;
        self
    }

    /// Its session.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// One of its tables.
    pub fn table(&self) -> String {
        let table = self.drawer.schema.tables.first();
        table.map_or_else(String::new, |table| table.qualified(self.drawer.place))
    }

    /// Runs its next transaction. Says its name in the ledger, none for one that
    /// writes nothing, and what became of it; an error is one that no application
    /// should meet.
    pub async fn transact(&mut self) -> Result<(Option<String>, Ended)> {
        let transaction = self.drawer.draw();
        self.last.clone_from(&transaction.id);
        let ended = self.run(&transaction).await;
        let ended = ended.with_context(|| format!("{transaction:?}"))?;
        Ok((transaction.id, ended))
    }

    /// Waits for a server that was gone, and asks it what became of the last
    /// transaction: what it says then it may not take back. One that was prepared
    /// is committed.
    async fn ask(&mut self, database: &Config) -> Result<(Option<String>, Ended)> {
        let asking = async {
            loop {
                match self.asked_once(database).await {
                    Err(error) if is_broken(&error) => tokio::time::sleep(PAUSE).await,
                    answer => return answer,
                }
            }
        };
        let answer = tokio::time::timeout(LIMIT, asking).await;
        let ended = answer.context("the server does not come back")??;
        Ok((self.last.clone(), ended))
    }

    async fn asked_once(&mut self, database: &Config) -> Result<Ended> {
        self.client = connect(database).await?;
        let nothing = Ended::Refused { by_fence: false };
        let Some(id) = &self.last else {
            return Ok(nothing);
        };
        let place = self.drawer.place;
        let (prepared, name) = (
            "select from pg_prepared_xacts where gid = $1",
            self.drawer.prepared(id),
        );
        if self.client.query_opt(prepared, &[&name]).await?.is_some() {
            let commit = format!("commit prepared '{name}'");
            self.client.batch_execute(&commit).await?;
        }
        let written = format!("select from {place}.{LEDGER} where id = '{id}'");
        let written = self.client.query_opt(&written, &[]).await?;
        Ok(written.map_or(nothing, |_| Ended::Acknowledged))
    }

    /// A pause before the next transaction.
    fn thought(&mut self) -> Duration {
        LONGEST_THOUGHT.mul_f64(self.drawer.dice.random())
    }

    async fn run(&mut self, transaction: &Transaction) -> Result<Ended> {
        let Self {
            client,
            drawer,
            undone,
            ..
        } = self;
        client.batch_execute("begin").await?;
        if let Some(id) = &transaction.id
            && let Err(error) = client.batch_execute(&drawer.ledger(id)).await
        {
            return refused(client, error).await;
        }
        for step in &transaction.steps {
            let (text, owns_key) = match step {
                Step::Try {
                    statement,
                    owns_key,
                } => (format!("savepoint s; {statement}; release s"), *owns_key),
                Step::Undone(statement) => {
                    let text = format!("savepoint s; {statement}; rollback to s; release s");
                    (text, false)
                }
            };
            let Err(error) = client.batch_execute(&text).await else {
                continue;
            };
            ensure!(
                !(owns_key && is_taken(&error)),
                "a key that a default gave out was taken: {error:?}"
            );
            match class(&error) {
                Class::Fence | Class::Transaction => return refused(client, error).await,
                Class::Statement => {
                    *undone += 1;
                    client.batch_execute("rollback to s; release s").await?;
                }
                Class::Unexpected => return Err(error).context(text),
            }
        }
        let committed = match (transaction.end, &transaction.id) {
            (End::Prepared, Some(id)) => {
                let name = drawer.prepared(id);
                let prepare = format!("prepare transaction '{name}'");
                match client.batch_execute(&prepare).await {
                    Ok(()) => {
                        let commit = format!("commit prepared '{name}'");
                        client.batch_execute(&commit).await?;
                        return Ok(Ended::Acknowledged);
                    }
                    Err(error) => Err(error),
                }
            }
            (End::Rollback, _) => {
                client.batch_execute("rollback").await?;
                return Ok(Ended::Refused { by_fence: false });
            }
            (End::Commit | End::Prepared, _) => client.batch_execute("commit").await,
        };
        match committed {
            Ok(()) => Ok(Ended::Acknowledged),
            Err(error) => refused(client, error).await,
        }
    }
}

async fn refused(client: &Client, error: Error) -> Result<Ended> {
    let class = class(&error);
    if class == Class::Unexpected {
        return Err(error.into());
    }
    client.batch_execute("rollback").await?;
    let by_fence = class == Class::Fence;
    Ok(Ended::Refused { by_fence })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// The other side owns the data.
    Fence,
    /// It was chosen to give way.
    Transaction,
    /// What it wrote is against a constraint.
    Statement,
    Unexpected,
}

fn class(error: &Error) -> Class {
    let Some(code) = error.code() else {
        return Class::Unexpected;
    };
    match code.code() {
        "25006" => Class::Fence,
        code if code.starts_with("40") => Class::Transaction,
        // A table with deferred checks to come is not truncated.
        "55006" => Class::Statement,
        code if code.starts_with("23") => Class::Statement,
        _ => Class::Unexpected,
    }
}

async fn connect(database: &Config) -> Result<Client, Error> {
    let (client, connection) = database.connect(NoTls).await?;
    // Its errors come back from the client's calls.
    tokio::spawn(connection);
    Ok(client)
}

/// Whether its session is gone, or its server starts or stops.
fn is_broken(error: &anyhow::Error) -> bool {
    let mut causes = error.chain();
    let error = causes.find_map(|cause| cause.downcast_ref::<Error>());
    error.is_some_and(|error| {
        let code = error.code();
        code.is_none_or(|code| code.code().starts_with("57P"))
    })
}

/// Whether a primary key was there already.
fn is_taken(error: &Error) -> bool {
    let Some(error) = error.as_db_error() else {
        return false;
    };
    *error.code() == SqlState::UNIQUE_VIOLATION
        && error
            .constraint()
            .is_some_and(|name| name.ends_with("_pkey"))
}

/// Waits until so many transactions more were acknowledged by all of these.
pub async fn acknowledge(writers: &[Writer], more: u64) -> Result<()> {
    let all = || writers.iter().map(Writer::acknowledged).sum::<u64>();
    let goal = all() + more;
    let what = format!("{more} more transactions to be acknowledged");
    deadline::poll(&what, LIMIT, || {
        let ended = writers.iter().any(|writer| writer.task.is_finished());
        ensure!(!ended, "a writer has ended: stop it to learn why");
        Ok((all() >= goal).then_some(()))
    })
    .await
}
