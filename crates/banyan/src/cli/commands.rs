//! The verbs that ask a running `banyan serve`.

use super::{keyless, progress::ProgressDisplay, refusals, render, step_lines};
use crate::{client::Client, exit::Failure};
use conductor::{
    Reply, Resumed,
    api::{ErrorKind, ErrorReply, Parameters},
    ports::{Cancellation, Recopied},
    status::{ExtractionStatus, Status, no_extraction},
};
use std::{path::Path, time::Duration};

/// How often progress is asked for.
const LOOK: Duration = Duration::from_millis(200);

pub(super) async fn status(
    state: &Path,
    only: &[String],
    checks: bool,
    json: bool,
) -> Result<(), Failure> {
    let mut status = Client::find(state)?.status().await?;
    known(&status, only)?;
    if !only.is_empty() {
        status.extractions.retain(|one| only.contains(&one.name));
    }
    let now_ms = conductor::now_ms();
    let mut each = status.extractions.iter();
    let is_ill = !status.ills().is_empty() || each.any(|one| !one.ills(now_ms).is_empty());
    if json {
        render::json(&status)?;
    } else if checks {
        render::ills(&status, now_ms);
    } else {
        render::status(&status);
    }
    if checks && is_ill {
        return Err(Failure::Reported(1));
    }
    Ok(())
}

/// Refuses names that the plan does not have.
pub(super) fn known(status: &Status, names: &[String]) -> Result<(), Failure> {
    let has = |name: &&String| status.extractions.iter().any(|one| one.name == **name);
    match names.iter().find(|name| !has(name)) {
        Some(name) => Err(unknown(name, &status.extractions)),
        None => Ok(()),
    }
}

fn unknown(name: &str, extractions: &[ExtractionStatus]) -> Failure {
    let none = no_extraction(name, extractions.iter().map(|one| one.name.as_str()));
    Failure::Refused(format!(
        "the plan that the running `banyan serve` goes by has {none}. If it is in the file by now: \
         `banyan serve --take-over`"
    ))
}

pub(super) async fn start(state: &Path, extraction: &str, json: bool) -> Result<(), Failure> {
    let reply = done(
        ask(state, extraction, "start", &Parameters::default()).await?,
        json,
    )?;
    if json {
        return render::json(&reply.status);
    }
    if reply.status.writes_percent.is_some() {
        let begun = format!(
            "`{extraction}` has begun. Both sides share its data, so nothing is copied. Next: \
             `banyan shift {extraction} --reads 5% --writes 5%`."
        );
        say!("{}", render::wrapped(&begun));
        return Ok(());
    }
    let follows = format!(
        "`{extraction}` follows: {} rows copied. Next: `banyan verify {extraction}`.",
        reply.status.progress.copy.rows_copied
    );
    say!("{}", render::wrapped(&follows));
    Ok(())
}

pub(super) async fn verify(state: &Path, extraction: &str, json: bool) -> Result<(), Failure> {
    let reply = done(
        ask(state, extraction, "verify", &Parameters::default()).await?,
        json,
    )?;
    let found = reply.verification.unwrap_or_default();
    if json {
        render::json(&found.report)?;
    } else {
        say!(
            "{} rows compared, {} differ.",
            found.rows,
            found.differences
        );
        render::differences(&found.report);
        if found.differences > 0 {
            let next = format!(
                "Look at them first. `banyan recopy {extraction}` makes the other side's rows as \
                 the owner's (not where both sides insert into a table)."
            );
            say!("{}", render::wrapped(&next));
        }
    }
    if found.differences == 0 {
        Ok(())
    } else {
        Err(Failure::Reported(1))
    }
}

pub(super) async fn shift(
    state: &Path,
    extraction: &str,
    shares: Parameters,
    json: bool,
) -> Result<(), Failure> {
    let reply = done(ask(state, extraction, "shift", &shares).await?, json)?;
    shifted(extraction, &reply.status, json)?;
    if !json && let Some(text) = refusals::waived_text(&reply.waived) {
        say!("{}", render::wrapped(&text));
    }
    Ok(())
}

pub(super) async fn withdraw(state: &Path, extraction: &str, json: bool) -> Result<(), Failure> {
    let nothing = Parameters::default();
    let reply = done(ask(state, extraction, "withdraw", &nothing).await?, json)?;
    shifted(extraction, &reply.status, json)
}

fn shifted(extraction: &str, status: &ExtractionStatus, json: bool) -> Result<(), Failure> {
    if json {
        return render::json(status);
    }
    let writes = status
        .writes_percent
        .map(|share| format!(", {share}% write there"));
    let shares = format!(
        "{}% of the clients of `{extraction}` read from the service{}.",
        status.reads_percent,
        writes.unwrap_or_default()
    );
    say!("{}", render::wrapped(&shares));
    let keys = status.keys.as_ref().filter(|_| status.reads_percent > 0.0);
    if let Some(text) = keys.and_then(keyless::text) {
        say!("{}", render::wrapped(&text));
    }
    Ok(())
}

pub(super) async fn hand_over(
    state: &Path,
    extraction: &str,
    verb: &str,
    parameters: Parameters,
    json: bool,
) -> Result<(), Failure> {
    let reply = done(ask(state, extraction, verb, &parameters).await?, json)?;
    let reads_percent = reply.status.reads_percent;
    let Some(last) = reply.status.last_handover else {
        return Err(Failure::NotDone("the hand-over left no report".to_owned()));
    };
    if json {
        render::json(&last)?;
    } else if reply.status.writes_percent.is_some() {
        let side = if verb == "switch" {
            "service"
        } else {
            "monolith"
        };
        let all = format!(
            "All reads and writes of `{extraction}` go to the {side}. Both sides share its data, so \
             nothing was handed over."
        );
        say!("{}", render::wrapped(&all));
    } else {
        render::handover(&last);
        if verb == "rollback" && last.outcome == "committed" && reads_percent > 0.0 {
            let left = format!(
                "{reads_percent}% of the reads of `{extraction}` still go to the service: a rollback \
                 hands back the writes. `banyan withdraw {extraction}` sends them back, too."
            );
            say!("{}", render::wrapped(&left));
        }
    }
    if last.outcome == "committed" {
        Ok(())
    } else {
        Err(Failure::Reported(1))
    }
}

pub(super) async fn cancel(
    state: &Path,
    extraction: &str,
    parameters: &Parameters,
    json: bool,
) -> Result<(), Failure> {
    let reply = done(ask(state, extraction, "cancel", parameters).await?, json)?;
    if json {
        return render::json(&reply);
    }
    let cancelled =
        format!("`{extraction}` is cancelled; nothing of Banyan's is left in either database.");
    say!("{}", render::wrapped(&cancelled));
    let Cancellation {
        left,
        left_because,
        lost_indexes,
        ..
    } = reply.cancelled.unwrap_or_default();
    for lost in lost_indexes {
        let text = format!(
            "The service's database would not make an index again that the copy had put off. \
             Make it, where it is still wanted: {lost}"
        );
        say!("{}", render::wrapped(&text));
    }
    if !left.is_empty() {
        let tables = left.join(", ");
        let why = match left_because {
            Some(why) => format!("they could not be emptied: {why}"),
            None => "the service owned them for a while".to_owned(),
        };
        let left = format!("Rows stay in the service's {tables}, since {why}.");
        say!("{}", render::wrapped(&left));
        let again = format!(
            "To start again, see whether somebody needs them, then empty them: `truncate {tables}`"
        );
        say!("{}", render::wrapped(&again));
    }
    Ok(())
}

pub(super) async fn resume(
    state: &Path,
    extraction: &str,
    ordered: &Parameters,
    json: bool,
) -> Result<(), Failure> {
    let reply = done(ask(state, extraction, "resume", ordered).await?, json)?;
    if json {
        return render::json(&reply.status);
    }
    let status = &reply.status;
    match reply.resumed {
        Some(Resumed::Steps) => {
            let text = format!("The steps of `{extraction}` go on ({}).", status.phase);
            say!("{}", render::wrapped(&text));
        }
        Some(Resumed::Streams) | None => {
            let text = format!(
                "The streams of `{extraction}` were tried again ({}); no step of the plan had \
                 stopped.",
                status.phase
            );
            say!("{}", render::wrapped(&text));
        }
    }
    let streams = render::stream_lines(status);
    if streams.is_empty() {
        say!("Nothing of it is followed, so no stream waits to be tried again.");
    }
    for line in streams {
        say!("{}", render::wrapped(&line));
    }
    let end = match &status.trouble {
        Some(trouble) => format!("What was tried again: {trouble}"),
        None => "Nothing waits to be tried again.".to_owned(),
    };
    say!("{}", render::wrapped(&end));
    if let Some(rollout) = &status.rollout {
        for line in step_lines::lines(extraction, rollout) {
            say!("{}", render::wrapped(&line));
        }
    }
    Ok(())
}

/// How it stands: nobody is asked to agree to what could not be done anyway.
pub(super) async fn under_way(state: &Path, extraction: &str) -> Result<ExtractionStatus, Failure> {
    one_of(Client::find(state)?.status().await?.extractions, extraction)
}

/// The one of this name.
pub(super) fn one_of(
    mut extractions: Vec<ExtractionStatus>,
    extraction: &str,
) -> Result<ExtractionStatus, Failure> {
    match extractions.iter().position(|one| one.name == extraction) {
        Some(at) => Ok(extractions.swap_remove(at)),
        None => Err(unknown(extraction, &extractions)),
    }
}

/// Who owns, to be agreed to and sent along: it may change while somebody thinks.
pub(super) async fn shown_owner(state: &Path, extraction: &str) -> Result<Parameters, Failure> {
    let one = under_way(state, extraction).await?;
    if !matches!(one.owner.as_str(), "monolith" | "service") {
        return Err(Failure::Refused(format!(
            "whose rows of `{extraction}` are to stay is not known now, since its owner is {}: see \
             `banyan status`",
            one.owner
        )));
    }
    Ok(Parameters {
        owner: Some(one.owner),
        epoch: Some(one.epoch),
        ..Parameters::default()
    })
}

/// Says which side's rows are replaced.
pub(super) fn recopy_question(extraction: &str, shown: &Parameters) -> String {
    let (other, owner) = match shown.owner.as_deref() {
        Some("service") => ("monolith", "service"),
        _ => ("service", "monolith"),
    };
    format!(
        "Make the {other}'s rows of `{extraction}` as the {owner}'s? What only the {other} has is \
         deleted. Where only the stream to the owner has lost changes, no row is touched."
    )
}

pub(super) async fn recopy(
    state: &Path,
    extraction: &str,
    shown: &Parameters,
    json: bool,
) -> Result<(), Failure> {
    let reply = done(ask(state, extraction, "recopy", shown).await?, json)?;
    if json {
        return render::json(&reply);
    }
    let Recopied {
        rows,
        written,
        deleted,
        begun_anew,
    } = reply.recopied.unwrap_or_default();
    if let Some(rows) = rows {
        say!(
            "{rows} rows of the owner compared; on the other side {deleted} deleted, {written} \
             written."
        );
    }
    if begun_anew {
        say!("The stream to the owner has begun anew.");
    }
    say!("Next: `banyan verify {extraction}`: what was compared before counts no more.");
    Ok(())
}

pub(super) fn done(result: Result<Reply, ErrorReply>, json: bool) -> Result<Reply, Failure> {
    let ErrorReply {
        error,
        kind,
        findings,
    } = match result {
        Ok(reply) => return Ok(reply),
        Err(error) => error,
    };
    if json {
        render::json(&ErrorReply {
            error: error.clone(),
            kind,
            findings: findings.clone(),
        })?;
    } else {
        super::findings::print(&findings);
    }
    match kind {
        ErrorKind::Refused => Err(Failure::Refused(error)),
        ErrorKind::Failed => Err(Failure::NotDone(error)),
    }
}

/// With the extraction that it is of, where it does not say so by itself.
fn named(extraction: &str, error: ErrorReply) -> ErrorReply {
    let is_end = |c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_'));
    if error.error.split(is_end).any(|word| word == extraction) {
        return error;
    }
    let text = format!("{extraction}: {}", error.error);
    ErrorReply {
        error: text,
        ..error
    }
}

/// Asks, and shows how far it is until the answer comes.
pub(super) async fn ask(
    state: &Path,
    extraction: &str,
    verb: &str,
    parameters: &Parameters,
) -> Result<Result<Reply, ErrorReply>, Failure> {
    let client = Client::find(state)?;
    let mut shown = ProgressDisplay::new();
    let answer = client.ask(extraction, verb, parameters);
    tokio::pin!(answer);
    loop {
        tokio::select! {
            answer = &mut answer => {
                shown.end();
                return Ok(answer?.map_err(|error| named(extraction, error)));
            }
            () = tokio::time::sleep(LOOK) => {
                if let Ok(status) = client.status().await
                    && let Some(one) = status.extractions.iter().find(|one| one.name == extraction)
                {
                    shown.now(one);
                }
            }
        }
    }
}
