//! The command line: its words, and what each of them does.

/// Prints a line. Whoever reads may have stopped reading (`| head`), which is
/// no error of ours.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

mod add_table;
mod begun;
mod brown_out;
mod check;
mod checklist;
mod checklist_findings;
mod commands;
mod console;
mod day;
mod findings;
mod finish;
mod freeze;
mod gate_findings;
mod gateway_findings;
mod hold_rehearsal;
mod journal;
mod keyless;
mod moved;
mod old_ways;
mod outlook;
mod progress;
mod reference;
mod refusals;
mod render;
mod report;
mod retire;
mod routes;
mod schema;
mod shadow;
mod statements;
mod step_lines;
mod steps;
mod verb;
mod watch;
mod writers;

use crate::{exit::Failure, serve};
use clap::{Args, Parser};
use conductor::{
    Precondition,
    api::{HaltRequest, Parameters},
    status::ExtractionStatus,
};
use plan::{FileLoader, ParseContext, Plan};
use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
};
use tracing_subscriber::EnvFilter;
use verb::{
    BrownOutArguments, Dangerous, ExtractionArgument, RehearseArguments, RetireArguments,
    StepOrder, StepsVerb, Verb,
};

/// What is logged unless RUST_LOG says otherwise.
const LOG_FILTER: &str = "info";

/// What is not said by arguments, which everybody on the machine can see.
const ENVIRONMENT: &str = "\
Environment of the verbs that ask a running `serve`:
  BANYAN_KEY      A personal key of the plan's `control.keys`: the order is its
                  owner's. Without, the state directory's token is used.
  BANYAN_USER     Who orders it, where no key proves that (default: USER).
  BANYAN_CONTROL  ADDRESS:PORT of `serve`'s API, for who has a key and may not
                  read the state directory.";

/// Moves a capability out of a live monolith into a service: its traffic and
/// its data together, with no failed request and no lost write, and with a way
/// back that loses nothing either.
///
/// The usual order: check, serve, start, verify, shift, switch, finish. Back:
/// withdraw before a switch, rollback after it; cancel ends what the monolith
/// owns. When something fails: status. `banyan COMMAND --help` says what each does.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 80, after_long_help = ENVIRONMENT)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    shared: SharedArguments,
}

impl Arguments {
    /// Whether it is the program that runs, and not one that asks it.
    pub(crate) fn serves(&self) -> bool {
        matches!(self.verb, Verb::Serve { .. })
    }
}

#[derive(Debug, Args)]
struct SharedArguments {
    /// The plan: what is moved and how.
    #[arg(
        long,
        global = true,
        default_value = "banyan.yaml",
        value_name = "FILE"
    )]
    plan: PathBuf,
    /// Where journal and control token are; how a running `serve` is found.
    #[arg(
        long,
        global = true,
        default_value = ".banyan",
        value_name = "DIR",
        env = "BANYAN_STATE"
    )]
    state: PathBuf,
    /// Print one JSON document instead of text.
    #[arg(long, global = true)]
    json: bool,
}

async fn check(
    shared: &SharedArguments,
    explain: Option<String>,
    sql: Option<String>,
) -> Result<(), Failure> {
    if let Some(id) = explain {
        return check::explain(&id, shared.json);
    }
    let form = match sql {
        Some(place) => check::Form::Sql(place),
        None if shared.json => check::Form::Json,
        None => check::Form::Text,
    };
    check::run(&read_plan(&shared.plan)?, &shared.state, form).await
}

async fn serve(
    shared: SharedArguments,
    resolve: Vec<String>,
    takes_over: bool,
) -> Result<(), Failure> {
    log();
    let plan = served_plan(&shared.plan, &resolve)?;
    let text_digest = digest(&shared.plan)?;
    let file = shared.plan;
    let reread = move || {
        let read = || {
            Ok(serve::PlanInForce {
                plan: Arc::new(served_plan(&file, &resolve)?),
                digest: digest(&file)?,
            })
        };
        read().map_err(|wrong: Failure| wrong.to_string())
    };
    let options = serve::Options {
        reread: Box::new(reread),
        digest: text_digest,
        takes_over,
        overrides: serve::overrides::read(|name| std::env::var(name).ok())
            .map_err(Failure::Refused)?,
    };
    Box::pin(serve::run(&plan, &shared.state, options)).await
}

fn schema(of: Option<&str>, as_a_page: bool) -> Result<(), Failure> {
    if let Some(schema) = of.and_then(schema::named) {
        return render::json(&schema);
    }
    let schema = plan::json_schema();
    if as_a_page {
        say!("{}", reference::page(&schema).trim_end());
        return Ok(());
    }
    render::json(&schema)
}

/// Carries out the command line.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { verb, shared } = arguments;
    let state = &shared.state;
    let json = shared.json;
    match verb {
        Verb::Serve { resolve, take_over } => serve(shared, resolve, take_over).await,
        Verb::Check { explain, sql } => check(&shared, explain, sql).await,
        Verb::Schema { of, reference } => schema(of.as_deref(), reference),
        Verb::Status { extractions, check } => {
            commands::status(state, &extractions, check, json).await
        }
        Verb::Console(by) => console::run(state, by.by, json).await,
        Verb::Watch { extraction } => watch::run(state, extraction.as_deref(), json).await,
        Verb::Writers { extraction, forget } => {
            let plan = read_plan(&shared.plan)?;
            writers::run(&plan, &extraction.extraction, forget.as_deref(), json).await
        }
        Verb::Reload => routes::reload(state, json).await,
        Verb::Journal(asked) => journal::run(state, &asked, json).await,
        Verb::Report(asked) => report::run(state, &asked, json).await,
        Verb::Routes => routes::routes(state, json).await,
        Verb::Shadow(ExtractionArgument { extraction }) => {
            shadow::shadow(state, &extraction, json).await
        }
        Verb::Explain {
            method,
            url,
            headers,
            from,
            data,
        } => {
            let question = routes::question(&method, url, &headers, from, data)?;
            routes::explain(state, &question, json).await
        }
        Verb::Start(ExtractionArgument { extraction }) => start(state, &extraction, json).await,
        Verb::AddTable {
            extraction: ExtractionArgument { extraction },
            undo,
        } => add_table::run(&read_plan(&shared.plan)?, &extraction, undo, json).await,
        Verb::Freeze {
            extraction: ExtractionArgument { extraction },
            lasts,
            off,
            sql,
        } => {
            if sql {
                say!("{}", mover::objects::freeze::script().trim_end());
                return Ok(());
            }
            let lasts = (!off).then_some(lasts);
            freeze::run(&read_plan(&shared.plan)?, &extraction, lasts, json).await
        }
        Verb::Resume {
            extraction: ExtractionArgument { extraction },
            step,
            by,
        } => {
            let ordered = Parameters {
                step,
                by: by.by,
                ..Parameters::default()
            };
            commands::resume(state, &extraction, &ordered, json).await
        }
        Verb::Steps(verb) => by_steps(verb, &shared).await,
        Verb::Recopy(asked) => recopy(state, asked, json).await,
        Verb::Verify(ExtractionArgument { extraction }) => {
            commands::verify(state, &extraction, json).await
        }
        Verb::Shift {
            extraction,
            reads,
            writes,
            unhealthy,
        } => {
            let shares = shares(reads, writes, unhealthy);
            commands::shift(state, &extraction.extraction, shares, json).await
        }
        Verb::Withdraw(ExtractionArgument { extraction }) => {
            commands::withdraw(state, &extraction, json).await
        }
        Verb::Switch(asked) => switch(state, asked, json).await,
        Verb::Rollback {
            rollback: asked,
            unverified,
            unhealthy,
        } => rollback(state, asked, waived(unverified, unhealthy), json).await,
        Verb::Cancel { which, empty } => cancel(state, which, empty, json).await,
        Verb::Finish(asked) => finish(&shared, asked).await,
        Verb::Retire(asked) => retired(&shared, asked).await,
        Verb::BrownOut(asked) => refuse_old_ways(state, asked, json).await,
    }
}

/// Proves that an old side is not used, or checks such a proof.
async fn retired(shared: &SharedArguments, asked: RetireArguments) -> Result<(), Failure> {
    match (asked.check, asked.extraction) {
        (Some(file), _) => retire::check(&file, shared.json),
        (None, Some(name)) => {
            let plan = read_plan(&shared.plan)?;
            retire::run(&plan, &shared.state, &name, asked.to, shared.json).await
        }
        (None, None) => Err(Failure::Refused("name the extraction".to_owned())),
    }
}

/// Begins a brown-out, or ends it.
async fn refuse_old_ways(
    state: &Path,
    asked: BrownOutArguments,
    json: bool,
) -> Result<(), Failure> {
    let name = &asked.extraction.extraction;
    let lasts = |lasts: std::time::Duration| u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
    let mut parameters = Parameters {
        for_ms: asked.lasts.map(lasts),
        sunset_ms: asked.sunset,
        by: asked.by.by,
        ..Parameters::default()
    };
    if !asked.end {
        let one = commands::under_way(state, name).await?;
        let question = brown_out::question(name, &parameters);
        parameters.expected = agreed(asked.yes, &question, &one)?;
    }
    brown_out::run(state, name, &parameters, json).await
}

/// Begins an extraction; what should have been done before is said, and stops nothing.
async fn start(state: &Path, extraction: &str, json: bool) -> Result<(), Failure> {
    if !json {
        checklist::remind(state, extraction, plan::PRE_MIGRATION).await;
    }
    commands::start(state, extraction, json).await
}

/// The verbs that are for the steps of the plan.
async fn by_steps(verb: StepsVerb, shared: &SharedArguments) -> Result<(), Failure> {
    let (state, json) = (&shared.state, shared.json);
    match verb {
        StepsVerb::Pause(given) => order(state, "pause", given, json).await,
        StepsVerb::Approve { order, yes } => approve(state, order, yes, json).await,
        StepsVerb::Halt { note, off, by } => {
            let by = by.by;
            steps::halt(
                state,
                &HaltRequest {
                    by,
                    note,
                    off,
                    expected: None,
                },
                json,
            )
            .await
        }
        StepsVerb::Why(ExtractionArgument { extraction }) => {
            steps::why(state, &extraction, json).await
        }
        StepsVerb::Checklist {
            extraction: ExtractionArgument { extraction },
            list,
            run,
        } => checklist::run(state, &extraction, list.as_deref(), run, json).await,
        StepsVerb::Attest {
            extraction: ExtractionArgument { extraction },
            item,
            note,
            by,
        } => {
            let attested = Parameters {
                item: Some(item),
                note: Some(note),
                by: by.by,
                ..Parameters::default()
            };
            checklist::attest(state, &extraction, &attested, json).await
        }
        StepsVerb::Rehearse(RehearseArguments {
            hold: Some(name),
            times,
            pause,
            yes,
            ..
        }) => {
            let rounds = hold_rehearsal::Rounds::new(times, pause)?;
            let one = commands::under_way(state, &name).await?;
            confirm(yes, &hold_rehearsal::question(&one, rounds))?;
            hold_rehearsal::run(state, &name, rounds, json).await
        }
        StepsVerb::Rehearse(RehearseArguments { extraction, .. }) => {
            let plan = read_plan(&shared.plan)?;
            steps::rehearsal(&plan, extraction.as_deref(), conductor::now_ms(), json)
        }
    }
}

/// Asks for the step that waits now: by the time of the answer it may be the next one.
async fn approve(state: &Path, given: StepOrder, yes: bool, json: bool) -> Result<(), Failure> {
    let name = &given.extraction.extraction;
    let one = commands::under_way(state, name).await?;
    let expected = match steps::approval_question(&one) {
        Some(question) => agreed(yes, &question, &one)?,
        // Who takes it says why not.
        None => None,
    };
    let ordered = Parameters {
        by: given.by.by,
        note: Some(given.note),
        expected,
        ..Parameters::default()
    };
    steps::order(state, name, "approve", &ordered, json).await
}

async fn order(state: &Path, verb: &str, given: StepOrder, json: bool) -> Result<(), Failure> {
    let ordered = Parameters {
        by: given.by.by,
        note: Some(given.note),
        ..Parameters::default()
    };
    steps::order(state, &given.extraction.extraction, verb, &ordered, json).await
}

fn shares(reads: Option<String>, writes: Option<String>, unhealthy: bool) -> Parameters {
    Parameters {
        reads,
        writes,
        unhealthy,
        ..Parameters::default()
    }
}

fn waived(unverified: bool, unhealthy: bool) -> Parameters {
    Parameters {
        unverified,
        unhealthy,
        ..Parameters::default()
    }
}

async fn cancel(state: &Path, asked: Dangerous, empty: bool, json: bool) -> Result<(), Failure> {
    let name = &asked.extraction.extraction;
    let one = commands::under_way(state, name).await?;
    let parameters = Parameters {
        empty,
        expected: agreed(asked.yes, &cancel_question(name, empty), &one)?,
        ..Parameters::default()
    };
    commands::cancel(state, name, &parameters, json).await
}

fn cancel_question(extraction: &str, empty: bool) -> String {
    let tables = if empty {
        "The service's tables of it are emptied, whoever wrote them."
    } else {
        "Tables that were copied into the service are emptied; rows of a time in which the service \
         owned them stay (--empty)."
    };
    format!("End `{extraction}`? {tables}")
}

async fn recopy(state: &Path, asked: Dangerous, json: bool) -> Result<(), Failure> {
    let name = &asked.extraction.extraction;
    let shown = commands::shown_owner(state, name).await?;
    confirm(asked.yes, &commands::recopy_question(name, &shown))?;
    commands::recopy(state, name, &shown, json).await
}

async fn switch(state: &Path, asked: Dangerous, json: bool) -> Result<(), Failure> {
    let name = &asked.extraction.extraction;
    let one = commands::under_way(state, name).await?;
    let question = format!("Hand the writes of `{name}` over to the service?");
    let parameters = Parameters {
        expected: agreed(asked.yes, &question, &one)?,
        ..Parameters::default()
    };
    commands::hand_over(state, name, "switch", parameters, json).await
}

async fn rollback(
    state: &Path,
    asked: Dangerous,
    waived: Parameters,
    json: bool,
) -> Result<(), Failure> {
    let name = &asked.extraction.extraction;
    let one = commands::under_way(state, name).await?;
    let mut question = format!("Hand the writes of `{name}` back to the monolith");
    if waived.unverified {
        question += ", without a proof that both sides agree";
    }
    if waived.unhealthy {
        question += ", healthy or not";
    }
    let parameters = Parameters {
        expected: agreed(asked.yes, &format!("{question}?"), &one)?,
        ..waived
    };
    commands::hand_over(state, name, "rollback", parameters, json).await
}

async fn finish(shared: &SharedArguments, asked: Dangerous) -> Result<(), Failure> {
    let plan = read_plan(&shared.plan)?;
    let name = &asked.extraction.extraction;
    let one = commands::under_way(&shared.state, name).await?;
    let parameters = Parameters {
        expected: agreed(asked.yes, &finish::question(name), &one)?,
        ..Parameters::default()
    };
    finish::run(&plan, &shared.state, name, &parameters, shared.json).await
}

/// The plan, and where hosts are that were named with it.
fn served_plan(file: &Path, resolve: &[String]) -> Result<Plan, Failure> {
    let mut plan = read_plan(file)?;
    for one in resolve {
        let added = plan.gateway.host_addresses.add(one);
        added.map_err(|why| Failure::Refused(format!("--resolve: {why}")))?;
    }
    Ok(plan)
}

fn read_plan(path: &Path) -> Result<Plan, Failure> {
    let file = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::Refused(format!(
            "the plan {file} cannot be read: {error}. Name it with --plan"
        ))
    })?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let context = ParseContext {
        environment: &|name| std::env::var(name).ok(),
        files: FileLoader::new(directory, &|path| std::fs::read_to_string(path)),
        processors: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
    };
    Plan::parse_with(&text, &context).map_err(|error| Failure::Refused(format!("{file}: {error}")))
}

/// SHA-256 of the plan's text, to write down with what was decided by it.
fn digest(path: &Path) -> Result<Arc<str>, Failure> {
    let text = std::fs::read(path).map_err(Failure::refused)?;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &text);
    Ok(hex::encode(digest).into())
}

/// Asks, and binds what is agreed to to how it stood then: it may change while somebody
/// thinks. What a script says `--yes` to is bound to nothing.
fn agreed(
    yes: bool,
    question: &str,
    one: &ExtractionStatus,
) -> Result<Option<Precondition>, Failure> {
    confirm(yes, question)?;
    Ok((!yes).then(|| Precondition::of(one)))
}

/// Asks before what cannot simply be undone; a script says `--yes`.
fn confirm(yes: bool, question: &str) -> Result<(), Failure> {
    use std::io::{BufRead, IsTerminal, Write};
    if yes {
        return Ok(());
    }
    let input = std::io::stdin();
    if !input.is_terminal() {
        let text = "this asks before it acts, and there is no terminal to ask on. Add --yes";
        return Err(Failure::Refused(text.to_owned()));
    }
    eprint!("{} ", render::wrapped(&format!("{question} [y/N]")));
    let mut line = String::new();
    std::io::stderr().flush().map_err(Failure::refused)?;
    input
        .lock()
        .read_line(&mut line)
        .map_err(Failure::refused)?;
    if matches!(line.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(Failure::Refused(
            "not confirmed; nothing was done".to_owned(),
        ))
    }
}

fn log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOG_FILTER));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
}
