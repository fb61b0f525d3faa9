//! `banyan retire`: proves that nobody uses the old side any more, and writes down what
//! removes it. It removes nothing itself.
//!
//! The certificate comes first: the archive reads the old tables, which ends the evidence.
//! What is there already is kept, so that a run that was killed goes on.

mod documents;
mod signed;

use super::{finish::routes, moved::mover_of, old_ways, render};
use crate::{client::Client, exit::Failure};
use conductor::status::{QuietStatus, RetireStatus};
use documents::{Archive, Certificate};
use mover::{Mover, archive::ArchiveError, retire::Dependent};
use plan::{DECOMMISSIONING, ExtractionName, Plan};
use protocol::{Side, checklist::ItemState};
use report::clock::{length, minute};
use schemars::JsonSchema;
use serde::Serialize;
pub(super) use signed::Signed;
use signed::{SigningKey, sha256_of_file};
use std::{
    fs,
    path::{Path, PathBuf},
};

const CERTIFICATE: &str = "certificate.json";
const ARCHIVE: &str = "old-tables.dump";
const ARCHIVE_PROOF: &str = "archive.json";
const SCRIPT: &str = "remove-old-tables.sql";
const ROUTES: &str = "gateway-routes.yaml";

/// What it prints with `--json` once it has written the files.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct Written {
    /// Where they are.
    pub(super) directory: PathBuf,
    /// The names of the files in it.
    pub(super) certificate: &'static str,
    pub(super) script: &'static str,
    pub(super) routes: &'static str,
    /// `None`: none was made.
    pub(super) archive: Option<&'static str>,
    /// Why not.
    pub(super) archive_skipped: Option<String>,
}

/// Says whether a signed file is what was signed, and by which key.
pub(super) fn check(file: &Path, json: bool) -> Result<(), Failure> {
    let signed = signed::read(file)?;
    if json {
        return render::json(&signed);
    }
    say!("{} is as it was signed, by the key", file.display());
    say!("  {}", signed.public_key);
    Ok(())
}

/// Shows the evidence, and writes the files once there is enough.
pub(super) async fn run(
    plan: &Plan,
    state: &Path,
    extraction: &str,
    to: Option<PathBuf>,
    json: bool,
) -> Result<(), Failure> {
    let mover = mover_of(plan, extraction)?;
    let to = to.unwrap_or_else(|| PathBuf::from(format!("retire-{extraction}")));
    let certificate = to.join(CERTIFICATE);
    if certificate.exists() {
        let signed = SigningKey::of(state)?.own(&certificate)?;
        if signed.content["extraction"] != extraction {
            return Err(Failure::Refused(format!(
                "{} is of another extraction. Name another directory with --to",
                certificate.display()
            )));
        }
    } else {
        let client = Client::find(state)?;
        let evidence = client.retirement(extraction).await?;
        if json && !evidence.enough {
            return render::json(&evidence);
        }
        enough(extraction, &evidence)?;
        undone(&client, extraction).await?;
        let made = Certificate::of(plan, &mover, &client, evidence).await?;
        create_directory(&to)?;
        SigningKey::of(state)?.sign(&certificate, &made)?;
    }
    let archive = archived(state, &mover, &to).await?;
    write(&to.join(ROUTES), &gateway_routes(plan, extraction))?;
    let dependents = mover.dependents().await.map_err(Failure::not_done)?;
    let script = to.join(SCRIPT);
    if dependents.is_empty() {
        write(&script, &mover.removal_script())?;
    } else {
        // One from before that does not hold any more.
        let _ = fs::remove_file(&script);
        return Err(Failure::Refused(in_the_way(&dependents)));
    }
    if json {
        return render::json(&Written {
            directory: to,
            certificate: CERTIFICATE,
            script: SCRIPT,
            routes: ROUTES,
            archive: archive.as_ref().ok().map(|()| ARCHIVE),
            archive_skipped: archive.err(),
        });
    }
    tell(extraction, &to, archive.err().as_deref());
    Ok(())
}

fn in_the_way(dependents: &[Dependent]) -> String {
    let line = |one: &Dependent| match &one.remedy {
        Some(remedy) => format!("- {}. Where it may go: `{remedy}`", one.what),
        None => format!("- {}", one.what),
    };
    let lines: Vec<_> = dependents.iter().map(line).collect();
    format!(
        "the old tables cannot be dropped yet, since this depends on them:\n{}\nTake it away or \
         make it otherwise, and run this again. Nothing was dropped",
        lines.join("\n")
    )
}

fn tell(extraction: &str, to: &Path, no_archive: Option<&str>) {
    let to = to.display();
    say!("In {to}:");
    say!("  {CERTIFICATE:<24}that nobody uses the old side, signed");
    match no_archive {
        None => say!("  {ARCHIVE:<24}the old tables; {ARCHIVE_PROOF} has its SHA-256"),
        Some(why) => {
            let text = format!("NO ARCHIVE WAS MADE: {why}. Then run this again.");
            say!("{}", render::paragraph("  ", "  ", &text));
        }
    }
    say!("  {SCRIPT:<24}drops the old tables; nobody has run it");
    say!("  {ROUTES:<24}what takes the extraction's place in the plan");
    let text = format!(
        "Next: have the script reviewed, and run it in the monolith's database: `psql -f \
         {to}/{SCRIPT}`. Until then all can stay as it is. Then take `extractions.{extraction}` out \
         of the plan, put the routes in, and `banyan serve --take-over`. `banyan retire --check \
         {to}/{CERTIFICATE}` verifies the certificate anywhere."
    );
    say!("\n{}", render::wrapped(&text));
}

/// Refuses before the old side was quiet for long enough.
fn enough(extraction: &str, evidence: &RetireStatus) -> Result<(), Failure> {
    if evidence.enough {
        return Ok(());
    }
    if let (Some(why), None) = (&evidence.trouble, &evidence.tables) {
        let callers = old_ways::callers(&evidence.callers);
        let callers = callers.map(|text| format!(". {text}"));
        return Err(Failure::Refused(format!(
            "there is no evidence yet that nobody uses the old side of `{extraction}`: {why}{}",
            callers.unwrap_or_default()
        )));
    }
    let mut parts = vec![format!(
        "nobody may use the old side of `{extraction}` for {}",
        length(evidence.wanted_ms)
    )];
    let both = [
        ("its tables", &evidence.tables),
        ("its routes", &evidence.routes),
    ];
    for (what, quiet) in both {
        let quiet = quiet.as_ref();
        parts.extend(quiet.map(|quiet| format!("Unused are {what} {}", since(quiet))));
    }
    parts.extend(old_ways::callers(&evidence.callers));
    let trouble = evidence.trouble.as_ref();
    parts.extend(trouble.map(|why| format!("Nothing newer is known: {why}")));
    Err(Failure::Refused(parts.join(". ")))
}

fn since(quiet: &QuietStatus) -> String {
    format!(
        "for {}, since {} ({})",
        length(quiet.quiet_ms),
        minute(quiet.since_ms),
        quiet.because
    )
}

/// Refuses while something of the list is not done.
async fn undone(client: &Client, extraction: &str) -> Result<(), Failure> {
    let lists = client.check_items(extraction, DECOMMISSIONING).await;
    let lists = match lists {
        // All of it is attested.
        Err(Failure::Refused(_)) => client.checklists(extraction).await?,
        lists => lists?,
    };
    let list = lists.iter().filter(|list| list.name == DECOMMISSIONING);
    let items = list.flat_map(|list| &list.items);
    let open = items.filter(|item| item.state != ItemState::Done.as_str());
    let open: Vec<_> = open.map(|item| item.name.as_str()).collect();
    if open.is_empty() {
        return Ok(());
    }
    Err(Failure::Refused(format!(
        "not done of `{DECOMMISSIONING}`: {}. `banyan checklist {extraction} {DECOMMISSIONING}` says \
         why",
        open.join(", ")
    )))
}

/// Archives the old tables, unless that is done. The inner error says why it cannot be.
async fn archived(state: &Path, mover: &Mover, to: &Path) -> Result<Result<(), String>, Failure> {
    let (file, proof) = (to.join(ARCHIVE), to.join(ARCHIVE_PROOF));
    if proof.exists() {
        let signed = SigningKey::of(state)?.own(&proof)?;
        let certificate = sha256_of_file(&to.join(CERTIFICATE))?;
        if signed.content["sha256"] == sha256_of_file(&file)?
            && signed.content["certificate_sha256"] == certificate
        {
            return Ok(Ok(()));
        }
        return Err(Failure::Refused(format!(
            "{} is not what {} says that it was. Put it back, or take both away and run this again",
            file.display(),
            proof.display()
        )));
    }
    let made = async {
        let tools = mover.archive_tools(Side::Monolith).await?;
        mover.archive_old_tables(&tools, &file).await
    };
    match made.await {
        Ok(()) => {}
        Err(error @ ArchiveError::NoTool { .. }) => return Ok(Err(error.to_string())),
        Err(error) => return Err(Failure::not_done(error)),
    }
    let made = Archive::of(mover, &file, &to.join(CERTIFICATE))?;
    SigningKey::of(state)?.sign(&proof, &made)?;
    Ok(Ok(()))
}

fn gateway_routes(plan: &Plan, extraction: &str) -> String {
    let name = ExtractionName::new(extraction).ok();
    let one = name.and_then(|name| plan.extractions.get(&name));
    let routes = one.map(routes).unwrap_or_default();
    format!("# In place of `extractions.{extraction}`.\ngateway:\n  routes:\n{routes}\n")
}

fn create_directory(to: &Path) -> Result<(), Failure> {
    fs::create_dir_all(to)
        .map_err(|error| Failure::Refused(format!("{} cannot be made: {error}", to.display())))
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    fs::write(file, text)
        .map_err(|error| Failure::NotDone(format!("{} cannot be written: {error}", file.display())))
}
