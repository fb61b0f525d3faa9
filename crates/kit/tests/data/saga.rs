use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kit::backoff::Backoff;
use kit::database::{Database, DatabaseSettings, commit};
use kit::saga::{
    Context, Definition, Runner, RunnerSettings, Stage, Step, StepError, begin, resume, status,
    stuck,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use testbed::deadline;
use testbed::process::{Process, Spec};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::scene::{SCHEMA, Scene, TIMEOUT, applied};

const STEPS: [&str; 3] = ["reserve", "pay", "ship"];

fn quick() -> RunnerSettings {
    let backoff = Backoff {
        first: Duration::from_millis(10),
        longest: Duration::from_millis(30),
        attempts: 3,
    };
    RunnerSettings {
        concurrency: 4,
        step_timeout: Duration::from_secs(10),
        poll_interval: Duration::from_millis(100),
        forward: backoff,
        backward: backoff,
    }
}

/// What a step is to answer; the key names step and direction.
type Answers = Arc<Mutex<Vec<(String, StepError)>>>;

/// Writes down what it does, in its transaction, then answers.
struct Writing {
    number: usize,
    answers: Answers,
    called: Arc<Mutex<Vec<String>>>,
    /// Where it kills its own process, once: before or after its effect.
    crash: Option<String>,
}

impl Writing {
    async fn act(&self, context: &mut Context<'_>, sign: i64) -> Result<(), StepError> {
        let name = STEPS[self.number];
        let act = if sign > 0 {
            name.to_owned()
        } else {
            format!("{name}:undo")
        };
        let saga = context.saga.to_string();
        assert_eq!(context.key(), format!("{saga}:{act}"));
        self.called.lock().push(act.clone());
        self.crash_at(&format!("{act}:before"));
        sqlx::query("insert into applied (key, what) values ($1, $2)")
            .bind(saga)
            .bind(sign * (i64::try_from(self.number).unwrap() + 1))
            .execute(context.connection())
            .await?;
        self.crash_at(&format!("{act}:after"));
        let mut answers = self.answers.lock();
        match answers.iter().position(|(key, _)| *key == act) {
            Some(position) => Err(answers.remove(position).1),
            None => Ok(()),
        }
    }

    fn crash_at(&self, point: &str) {
        if self.crash.as_deref() == Some(point) {
            testbed::process::send(testbed::process::Signal::Kill, std::process::id());
            loop {
                std::thread::park();
            }
        }
    }
}

#[async_trait]
impl Step for Writing {
    fn name(&self) -> &'static str {
        STEPS[self.number]
    }

    async fn perform(&self, context: &mut Context<'_>) -> Result<Value, StepError> {
        let amount: i64 = context.input()?;
        if self.number > 0 {
            let earlier: i64 = context.output(STEPS[self.number - 1]).unwrap();
            assert_eq!(earlier, amount);
        }
        self.act(context, 1).await?;
        Ok(json!(amount))
    }

    async fn compensate(&self, context: &mut Context<'_>) -> Result<(), StepError> {
        self.act(context, -1).await
    }
}

#[derive(Default)]
struct Play {
    answers: Answers,
    called: Arc<Mutex<Vec<String>>>,
    crash: Option<String>,
}

impl Play {
    fn definition(&self) -> Definition {
        (0..STEPS.len()).fold(Definition::new("order"), |definition, number| {
            definition.then(Writing {
                number,
                answers: Arc::clone(&self.answers),
                called: Arc::clone(&self.called),
                crash: self.crash.clone(),
            })
        })
    }

    fn answer(&self, step: &str, answer: &StepError, times: usize) {
        for _ in 0..times {
            self.answers.lock().push((step.to_owned(), answer.clone()));
        }
    }

    fn run(&self, database: &Database) -> (CancellationToken, tokio::task::JoinHandle<()>) {
        let stop = CancellationToken::new();
        let runner = Runner::new(database.clone(), quick(), [self.definition()]);
        let task = tokio::spawn(runner.run(stop.clone().cancelled_owned()));
        (stop, task)
    }
}

async fn start(database: &Database) -> Uuid {
    let id = Uuid::new_v4();
    for _ in 0..2 {
        // The second time it is there already.
        let mut transaction = database.begin().await.unwrap();
        begin(database, &mut transaction, id, "order", &40)
            .await
            .unwrap();
        commit(transaction).await.unwrap();
    }
    id
}

async fn until(database: &Database, id: Uuid, stage: Stage) {
    deadline::until(&format!("{stage:?}"), TIMEOUT, async || {
        let status = status(database, id).await?.unwrap();
        Ok((status.stage == stage).then_some(()))
    })
    .await
    .unwrap();
}

fn failed() -> StepError {
    StepError::Failed("no answer".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_are_performed_in_order_and_tried_again() {
    let scene = Scene::new().await;
    let database = scene.database().await;
    let play = Play::default();
    play.answer("pay", &failed(), 2);
    let (stop, task) = play.run(&database);
    let id = start(&database).await;
    until(&database, id, Stage::Completed).await;
    stop.cancel();
    task.await.unwrap();
    // What a failed try did in its transaction is gone.
    assert_eq!(applied(&database, &id.to_string()).await, [1, 2, 3]);
    assert_eq!(
        *play.called.lock(),
        ["reserve", "pay", "pay", "pay", "ship"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_step_is_not_undone_but_those_before_it_are_the_last_first() {
    let scene = Scene::new().await;
    let database = scene.database().await;
    let play = Play::default();
    play.answer("ship", &StepError::Refused("no such place".to_owned()), 1);
    play.answer("pay:undo", &failed(), 1);
    let (stop, task) = play.run(&database);
    let id = start(&database).await;
    until(&database, id, Stage::Compensated).await;
    stop.cancel();
    task.await.unwrap();
    assert_eq!(applied(&database, &id.to_string()).await, [1, 2, -2, -1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_failed_to_the_end_is_undone_too() {
    let scene = Scene::new().await;
    let database = scene.database().await;
    let play = Play::default();
    play.answer("pay", &failed(), 3);
    let (stop, task) = play.run(&database);
    let id = start(&database).await;
    until(&database, id, Stage::Compensated).await;
    stop.cancel();
    task.await.unwrap();
    assert_eq!(applied(&database, &id.to_string()).await, [1, -2, -1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_compensation_is_listed_and_can_be_gone_on_with() {
    let scene = Scene::new().await;
    let database = scene.database().await;
    let play = Play::default();
    play.answer("ship", &StepError::Refused("no".to_owned()), 1);
    play.answer("pay:undo", &failed(), 3);
    let (stop, task) = play.run(&database);
    let id = start(&database).await;
    until(&database, id, Stage::Stuck { step: 1 }).await;
    let listed = stuck(&database, 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].last_error.as_deref(), Some("no answer"));
    assert!(resume(&database, id).await.unwrap());
    until(&database, id, Stage::Compensated).await;
    assert!(!resume(&database, id).await.unwrap());
    stop.cancel();
    task.await.unwrap();
    assert_eq!(applied(&database, &id.to_string()).await, [1, 2, -2, -1]);
}

const WORKER_DATABASE: &str = "KIT_TEST_DATABASE";
const WORKER_CRASH: &str = "KIT_TEST_CRASH";
const WORKER_REFUSE: &str = "KIT_TEST_REFUSE";

/// Not a test: the process that kills itself in the next one.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by a test"]
async fn worker() {
    let Ok(url) = std::env::var(WORKER_DATABASE) else {
        return;
    };
    let settings = DatabaseSettings::new(&url, SCHEMA, "worker").unwrap();
    let play = Play {
        crash: std::env::var(WORKER_CRASH).ok(),
        ..Play::default()
    };
    if std::env::var_os(WORKER_REFUSE).is_some() {
        play.answer("ship", &StepError::Refused("no".to_owned()), 1);
    }
    let runner = Runner::new(Database::new(&settings), quick(), [play.definition()]);
    runner.run(std::future::pending()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_step_it_goes_on_and_has_each_effect_once() {
    let scene = Scene::new().await;
    let database = scene.database().await;
    let forward = ["reserve", "pay", "ship"].map(|step| (step.to_owned(), false));
    let backward = ["pay", "reserve"].map(|step| (format!("{step}:undo"), true));
    for (act, refuse) in forward.into_iter().chain(backward) {
        for point in ["before", "after"] {
            let crash = format!("{act}:{point}");
            let id = start(&database).await;
            let mut spec = Spec::new(format!("worker-{crash}"), std::env::current_exe().unwrap())
                .args(["saga::worker", "--exact", "--ignored"])
                .env(WORKER_DATABASE, scene.url())
                .env(WORKER_CRASH, &crash);
            if refuse {
                spec = spec.env(WORKER_REFUSE, "1");
            }
            let logs = scene.directory.path().join("logs");
            let mut worker = Process::start(&spec, &logs).unwrap();
            let exit = worker.wait(TIMEOUT).await.unwrap();
            assert_eq!(exit.code, 128 + 9, "{crash}");
            // The lease would end by itself; the test need not wait for it.
            sqlx::query("update sagas set due_at = now() where lease is not null")
                .execute(database.pool())
                .await
                .unwrap();
            let play = Play::default();
            if refuse {
                play.answer("ship", &StepError::Refused("no".to_owned()), 1);
            }
            let (stop, task) = play.run(&database);
            let (end, effects): (_, &[i64]) = if refuse {
                (Stage::Compensated, &[1, 2, -2, -1])
            } else {
                (Stage::Completed, &[1, 2, 3])
            };
            until(&database, id, end).await;
            stop.cancel();
            task.await.unwrap();
            assert_eq!(
                applied(&database, &id.to_string()).await,
                effects,
                "{crash}"
            );
        }
    }
}
