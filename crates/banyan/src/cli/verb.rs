//! The words of the command line, and what `--help` says of each.

use super::{
    check::ALL, hold_rehearsal::TIMES_MAX, journal::JournalArguments, report::ReportArguments,
    schema::names as documents,
};
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Look whether the plan can be carried out. Touches nothing.
    ///
    /// Reads the plan and both databases, and lists what it finds, each with its
    /// id and its remedy. `refused` stands in the way of `start`, and the exit
    /// code is 2; `warning` does not.
    Check {
        /// Explain one finding by its id (BN-012) instead.
        #[arg(long, value_name = "ID")]
        explain: Option<String>,
        /// Print only what is to be run, for psql: of the monolith's database
        /// (`--sql=monolith`), of a service's (`--sql=NAME`), or of all. What
        /// takes something away, or is one way of several, is a comment.
        #[arg(
            long,
            value_name = "DATABASE",
            num_args = 0..=1,
            default_missing_value = ALL,
            require_equals = true,
            conflicts_with_all = ["explain", "json"]
        )]
        sql: Option<String>,
    },
    /// Stand in front of the monolith as its gateway, and carry out the plan.
    ///
    /// Stays in the foreground and logs to standard error (RUST_LOG sets how
    /// much). May be killed at any moment and started again: it goes on where
    /// the databases say it was.
    ///
    /// CANARY_PERCENTAGE=5 in the environment shifts 5% of the reads once they
    /// can be, and of the writes where both sides share the data;
    /// ROUTE_TO_MONOLITH=true withdraws them and, after a switch, rolls back.
    Serve {
        /// Where a host name of an upstream is, as NAME:ADDRESS; may be given
        /// several times.
        #[arg(long, value_name = "NAME:ADDRESS")]
        resolve: Vec<String>,
        /// Take over from the `serve` that runs with this state directory: a new
        /// version or a changed plan, without a refused or lost request. The old
        /// process ends by itself; it goes on if this one cannot begin.
        #[arg(long)]
        take_over: bool,
    },
    /// Begin an extraction: prepare both sides, copy, follow.
    ///
    /// Where both sides share the data, only opens the way to `shift`. Else
    /// runs `check` first and touches nothing if that refuses. The monolith
    /// goes on as before; undo it with `cancel`.
    Start(ExtractionArgument),
    /// Show where every extraction is.
    ///
    /// Phases: planned, preparing, copying, following (the monolith owns),
    /// switching, switched (the service owns), rolling-back, rehearsing,
    /// cancelling, finishing, finished; shared. Streams: applying; waiting (the way back
    /// before the first switch); stopped (from the side that does not own);
    /// connecting, retrying; failed (somebody has to do something); ended.
    ///
    /// First its way from `check` to `retire` (✓ behind, ▶ here, · ahead, – not in the
    /// plan), what comes next, and what it would cost to go back now.
    Status {
        /// Only these extractions (default: all).
        #[arg(value_name = "EXTRACTION")]
        extractions: Vec<String>,
        /// For scripts: say what is not well, and end with 1 where anything is.
        ///
        /// A side that is unhealthy, a stream in trouble, reads that were withdrawn for it, a
        /// gate that fails, a halt, steps of a reload that do not count, statements that a
        /// fence refused within an hour. Steps that have stopped are said, and are none.
        #[arg(long)]
        check: bool,
    },
    /// Print where the web console lets you in.
    ///
    /// The address is good once, for ten minutes, and needs no key: whoever may read
    /// the state directory (or has BANYAN_KEY) hands it to a browser, which is signed
    /// in as they are. With a key of your own, sign in at http://CONTROL/console.
    Console(PersonArgument),
    /// Show where everything is, again and again, until it is interrupted.
    ///
    /// As `status` does on a terminal; else a line whenever something changes. With
    /// `--json` a document each second, in a line.
    Watch {
        /// Only this extraction.
        extraction: Option<String>,
    },
    /// Show who was seen to write an extraction's tables in the monolith.
    ///
    /// Looked for while it is followed, and kept in the monolith's database:
    /// over restarts, until it is forgotten. Who is not declared under
    /// `data.writers`, or writes tables that stay in the same transactions,
    /// stands in the way of a switch. Needs no running `serve`.
    Writers {
        #[command(flatten)]
        extraction: ExtractionArgument,
        /// Forget the writers of this `application_name` ('' for those that give
        /// none): a session that does not come back. One that does is seen again.
        #[arg(long, value_name = "APP")]
        forget: Option<String>,
    },
    /// Compare both sides row by row, while they are in use.
    ///
    /// Prints the keys that differ, the first 1000 of them. Exit code 1 if there
    /// is any.
    Verify(ExtractionArgument),
    /// Send a share of the clients' reads to the service.
    ///
    /// Sticky: raising the share only adds clients. Writes stay with the
    /// owner, and a client that has just written reads from the owner until
    /// the other side has its write. To raise a share the service has to be
    /// healthy; it is asked once.
    ///
    /// Where both sides share the data (`mode: shared`), a share of the writes
    /// can go to the service, too: `--writes`.
    #[command(group = clap::ArgGroup::new("shares").required(true).multiple(true))]
    Shift {
        #[command(flatten)]
        extraction: ExtractionArgument,
        /// The share of the reads, 0% to 100% in steps of 0.01%.
        #[arg(long, value_name = "SHARE", group = "shares")]
        reads: Option<String>,
        /// The share of the writes, likewise.
        #[arg(long, value_name = "SHARE", group = "shares")]
        writes: Option<String>,
        /// Shift more though the service does not say that it is healthy, or its
        /// fence was seen to refuse what reads wrote there. Such routes, as far as they
        /// are seen now, stay shifted until the next start of `banyan serve`.
        #[arg(long)]
        unhealthy: bool,
    },
    /// Send all reads back to the monolith, while it owns the data.
    ///
    /// Where both sides share the data, the writes, too.
    Withdraw(ExtractionArgument),
    /// Hand the writes over to the service.
    ///
    /// Holds writes at the gateway for some milliseconds, fences the
    /// monolith's tables, lets the service catch up, and opens it. Anything
    /// that goes wrong before the commit point undoes it all, and the held
    /// requests go to the monolith. Exit code 1 if it was aborted.
    ///
    /// Before that it is looked whether anything is in the way. All that is known
    /// at once is told together; where that is nothing, it is waited for what takes
    /// longer (streams, rows, a verify), and shown what that is.
    ///
    /// Where both sides share the data, sends all reads and writes to the
    /// service; nothing is handed over.
    Switch(Dangerous),
    /// Hand the writes back to the monolith, with all that was written since.
    ///
    /// Readers stay where they are, on the followed copy: `withdraw` sends them back.
    ///
    /// Refused where a table was rewritten or got other columns since both sides
    /// were proven to agree: run `verify` then. The monolith has to be healthy: to
    /// answer the plan's `health`, or within 2 s at all where it has none; it is
    /// asked again for 10 s.
    Rollback {
        #[command(flatten)]
        rollback: Dangerous,
        /// Go back without that proof, when there is no time for it.
        #[arg(long)]
        unverified: bool,
        /// Go back though the monolith does not say that it is healthy, as one
        /// that is slow on its health path: it has only to take connections. No
        /// write is lost either way.
        #[arg(long)]
        unhealthy: bool,
    },
    /// End an extraction that the monolith owns: nothing of Banyan's stays.
    ///
    /// Removes everything of Banyan's from both databases, and the rows it
    /// copied from the service's tables. Shared data are not touched. Where the
    /// service owned the data for a while, its rows stay, and
    /// their tables are named.
    Cancel {
        #[command(flatten)]
        which: Dangerous,
        /// Empty the service's tables also where it owned the data for a while.
        #[arg(long)]
        empty: bool,
    },
    /// End an extraction that has switched: the service keeps it for good.
    ///
    /// Takes away the stream back, the slots, the monolith's fence and all else
    /// of Banyan's in both databases, and prints the routes to write into the
    /// plan instead of the extraction. From then on there is no rollback.
    Finish(Dangerous),
    /// Prove that nobody uses the old side any more, and write what removes it.
    ///
    /// After `finish`. Shows for how long no request has reached the old routes and
    /// nobody has read or written the old tables. Once that is as long as the plan's
    /// `retire.quiet`, and the checklist `decommissioning` is done, it writes into a
    /// directory: a signed certificate, an archive of the old tables (`pg_dump`), a
    /// script that drops them, and the routes that take the extraction's place. It
    /// drops nothing itself. May be repeated: what is there is kept.
    Retire(RetireArguments),
    /// Refuse what still comes for an old side, for a short time, to find who comes.
    ///
    /// Requests for the plan's routes with `retires-with: NAME`, and those whose clients
    /// chose the old side, get 410 with `Deprecation` and `Sunset`, once the service owns
    /// the data and gets all other requests. Asks first. It ends by itself, with `--end`,
    /// and at once with a rollback; a restart makes it neither longer nor forgets it.
    /// `banyan retire NAME` says who came.
    BrownOut(BrownOutArguments),
    /// Have an extraction that has begun move a table more.
    ///
    /// Write the table into the plan first. This looks whether it can be moved, and
    /// lets it join; the next `banyan serve --take-over` copies it while the others
    /// are followed, and until then a switch is refused. Only while the monolith
    /// owns the extraction.
    AddTable {
        #[command(flatten)]
        extraction: ExtractionArgument,
        /// Take that back, where no `serve` has gone by such a plan yet.
        #[arg(long)]
        undo: bool,
    },
    /// Have both databases refuse migrations of an extraction's tables for a while.
    ///
    /// For the time around a hand-over: a migration is refused with a reason,
    /// instead of stopping a stream. Rows are written as before, and indexes,
    /// comments and grants pass. Needs event triggers, which a superuser makes once
    /// (`--sql`). It ends by itself. It is between you and the databases: it needs no
    /// `serve` and no key, and is in no journal. What stops the steps is `banyan halt`.
    Freeze {
        #[command(flatten)]
        extraction: ExtractionArgument,
        /// For how long from now, such as 30m or 2h.
        #[arg(long = "for", value_name = "TIME", default_value = "1h",
              value_parser = plan::duration)]
        lasts: std::time::Duration,
        /// End it now.
        #[arg(long, conflicts_with = "lasts")]
        off: bool,
        /// Print what a superuser runs in each of the two databases, once.
        #[arg(long, conflicts_with_all = ["lasts", "off"])]
        sql: bool,
    },
    /// Have the steps of the plan go on, or a stream tried again now.
    ///
    /// Where the steps have stopped, they go on: with the step in which that was, from
    /// its beginning, or with another one (`--step`). Streams are tried again, too.
    ///
    /// Where none has stopped, or the plan has none: a stream that has failed is tried
    /// again by itself, after 30 seconds at most, and once the cause is mended this
    /// spares the wait. Exit code 1 if it fails again, with the reason.
    ///
    /// It says which of the two it did.
    Resume {
        #[command(flatten)]
        extraction: ExtractionArgument,
        /// The step of the plan to go on with, from 1.
        #[arg(long, value_name = "N")]
        step: Option<usize>,
        #[command(flatten)]
        by: PersonArgument,
    },
    #[command(flatten)]
    Steps(StepsVerb),
    /// Go on where a change stream has lost changes, as `status` then says.
    ///
    /// A slot was dropped, advanced or lost its log, a publication was edited, a
    /// server was restored or promoted. Makes the other side's rows equal to the
    /// owner's: what differs is changed in one transaction, what only that side
    /// has is deleted. Then both streams go on. Where only the stream to the owner
    /// has lost changes, no row is touched.
    Recopy(Dangerous),
    /// Let a running `serve` go by the plan as it now is.
    ///
    /// Routes, rollout, policies, limits, upstreams, listeners and their
    /// certificates change between two requests, and none is lost. What moves
    /// (tables, databases, bounds of a switch, what names a client) needs a
    /// restart: then nothing is changed, and the exit code is 2. SIGHUP does the
    /// same.
    Reload,
    /// List the gateway's routes, in the order in which they are tried.
    ///
    /// An exact host counts before `*.host` before none; then the path that
    /// says more, from left to right: a segment spelled out before a {parameter}
    /// before /*; then the route with methods; then the one with more headers.
    Routes,
    /// Say where a request would go now, and why. Sends nothing.
    ///
    /// Example: banyan explain GET /api/contracts/7 -H 'x-user-id: 42'
    ///
    /// Example: banyan explain POST /rpc --data '{"method": "contracts.list"}'
    Explain {
        /// Its method.
        method: String,
        /// Its path and query, or a whole URL.
        url: String,
        /// A header, as `name: value`; may be given several times.
        #[arg(short = 'H', long = "header", value_name = "HEADER")]
        headers: Vec<String>,
        /// The client's address.
        #[arg(long, value_name = "ADDRESS")]
        from: Option<std::net::IpAddr>,
        /// Its body, for paths that operations share.
        #[arg(short = 'd', long, value_name = "BODY")]
        data: Option<String>,
    },
    /// Show where the service answers otherwise than the monolith.
    ///
    /// The plan's `shadow` has a share of the reads asked of both sides. Shows
    /// how many differ, in which fields, and examples, without their values
    /// unless the plan says `show-values`.
    Shadow(ExtractionArgument),
    /// List what has happened, with who wanted it.
    ///
    /// Orders of persons with what came of them, the plan's own decisions, shares,
    /// hand-overs, verifies. Asks the running `serve`; without one reads the state
    /// directory. `--json` prints every entry, a line each, to keep elsewhere.
    ///
    /// Entries are chained by hashes; `--check` recomputes them. Exit code 1: one does
    /// not fit.
    Journal(JournalArguments),
    /// Tell what the migration did: a page to read, to send and to keep.
    ///
    /// Of the journal and the status: the split over time, hand-overs and how long
    /// requests were held, comparisons of both sides, steps, gates, approvals, who
    /// decided what, and the whole in four figures.
    ///
    /// Example: banyan report --format html --output report.html
    Report(ReportArguments),
    /// Print the JSON Schema of the plan file, or of what is printed with `--json`.
    ///
    /// `--reference` prints that of the plan as a page to read.
    Schema {
        /// Of what is printed: `status` (of `status`, `watch`, `halt`), `extraction` (of
        /// `start`, `shift`, `resume` ...), `rollout` (of `why`), `handover` (of `switch`
        /// and `rollback`), `timeline` (of `rehearse`), `holds` (of `rehearse --hold`),
        /// `checklists` and `items` (of `checklist`), `entry` (a line of `journal`), `chain`
        /// (of `journal --check`), `retired` (of a `retire` that has written its files),
        /// `signed` (of `retire --check`), and by the verb's name `add-table`, `check`,
        /// `console`, `finish`, `freeze`, `reload`, `report`, `retire`.
        #[arg(long, value_name = "DOCUMENT", conflicts_with = "reference",
              value_parser = documents())]
        of: Option<String>,
        /// Every key in Markdown, as in docs/reference/plan.md.
        #[arg(long)]
        reference: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct ExtractionArgument {
    /// Its name in the plan.
    pub(super) extraction: String,
}

#[derive(Debug, Args)]
pub(super) struct RetireArguments {
    /// Its name in the plan.
    #[arg(required_unless_present = "check")]
    pub(super) extraction: Option<String>,
    /// Where the files go (default `retire-NAME`).
    #[arg(long, value_name = "DIR")]
    pub(super) to: Option<std::path::PathBuf>,
    /// Say instead whether a signed file is what was signed, and by which key.
    /// Needs neither plan nor `serve`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["extraction", "to"])]
    pub(super) check: Option<std::path::PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct BrownOutArguments {
    #[command(flatten)]
    pub(super) extraction: ExtractionArgument,
    /// For how long from now, such as 10m; an hour at most.
    #[arg(long = "for", value_name = "TIME", value_parser = plan::duration,
          required_unless_present = "end", requires = "sunset")]
    pub(super) lasts: Option<std::time::Duration>,
    /// The day on which the old side goes for good, as clients are told: 2027-01-31.
    #[arg(long, value_name = "DATE", value_parser = super::day::day)]
    pub(super) sunset: Option<i64>,
    /// End it now.
    #[arg(long, conflicts_with_all = ["lasts", "sunset"])]
    pub(super) end: bool,
    #[command(flatten)]
    pub(super) by: PersonArgument,
    /// Do not ask.
    #[arg(long)]
    pub(super) yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct Dangerous {
    #[command(flatten)]
    pub(super) extraction: ExtractionArgument,
    /// Do not ask.
    #[arg(long)]
    pub(super) yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct PersonArgument {
    /// Who orders it; kept in the journal (default: the login's name). A personal key
    /// says it by itself.
    #[arg(long, value_name = "NAME", env = "BANYAN_USER")]
    pub(super) by: Option<String>,
}

/// What is ordered and asked of the steps of the plan.
#[derive(Debug, Subcommand)]
pub(super) enum StepsVerb {
    /// Stop the steps of the plan where they are, until `resume`.
    ///
    /// Nothing is promoted meanwhile. What harms is still taken back, where the plan
    /// lets that happen by itself.
    Pause(StepOrder),
    /// Let the step of the plan begin that waits for a person.
    ///
    /// It asks first, with the step and what is to be approved, and is refused where
    /// another step waits by the time of the answer. A script says `--yes` to whichever
    /// waits. Where the plan has `control.keys`, with the key of an `approver` (BANYAN_KEY).
    Approve {
        #[command(flatten)]
        order: StepOrder,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Stop all automatic steps of all extractions at once, or let them go on.
    ///
    /// In an incident, say. Nothing begins, ends or is taken back by itself until
    /// `--off`; every verb works as before. Outlasts a restart.
    Halt {
        /// Why it begins, or ends, in your words: kept in the journal.
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
        /// End it.
        #[arg(long)]
        off: bool,
        #[command(flatten)]
        by: PersonArgument,
    },
    /// Show what has to be done before an extraction goes on, and what is.
    ///
    /// Without a list, which ones there are and what each still lacks. An item is checked
    /// by itself, or attested by a person (`attest`); `skipped` is one whose check lacks
    /// a tool or a setting here, and that counts once a person attests it. Exit code 1
    /// where something of the list that is shown is not done.
    Checklist {
        #[command(flatten)]
        extraction: ExtractionArgument,
        /// A list, such as `pre-migration` or `decommissioning`, or one item.
        list: Option<String>,
        /// Have it checked now. A backup takes as long as it takes; giving up waiting
        /// does not stop it.
        #[arg(long, requires = "list")]
        run: bool,
    },
    /// Say that an item of a checklist is done; kept in the journal with your name.
    Attest {
        #[command(flatten)]
        extraction: ExtractionArgument,
        /// Which item.
        item: String,
        /// What it rests on, in your words.
        #[arg(long, value_name = "TEXT")]
        note: String,
        #[command(flatten)]
        by: PersonArgument,
    },
    /// Say where the steps of the plan are, why, and what comes next. Of steps that have
    /// stopped in three lines: what happened, by which numbers, and what is to be typed.
    Why(ExtractionArgument),
    /// Show when what would happen by the steps of the plan, or what a switch would cost.
    ///
    /// Goes through all schedules on a clock of its own, in a moment: when each step
    /// begins at the earliest, and where a person is asked. Touches nothing, and
    /// needs no running `serve`.
    ///
    /// With `--hold` it rehearses the hand-over of an extraction to the side that does
    /// not own it, on production: with the real hold, locks and fence, undone at the
    /// commit point. Shows for how long writes would pause, which steps take it, and
    /// who was waited for. Refused where a switch would be. Exit code 1 if one did not
    /// get that far.
    Rehearse(RehearseArguments),
}

#[derive(Debug, Args)]
pub(super) struct RehearseArguments {
    /// Only of this extraction (default: of all).
    #[arg(value_name = "EXTRACTION", conflicts_with = "hold")]
    pub(super) extraction: Option<String>,
    /// Rehearse the hold of this extraction instead.
    #[arg(long, value_name = "NAME")]
    pub(super) hold: Option<String>,
    /// How often, up to 100. Twenty are enough for the median and the longest; a 99th
    /// percentile is shown of a hundred.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "hold",
          value_parser = clap::value_parser!(u8).range(1..=i64::from(TIMES_MAX)))]
    pub(super) times: u8,
    /// From the end of one to the next, such as 10s or 1m.
    #[arg(long, value_name = "TIME", default_value = "5s", requires = "hold",
          value_parser = plan::duration)]
    pub(super) pause: std::time::Duration,
    /// Do not ask.
    #[arg(long, requires = "hold")]
    pub(super) yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct StepOrder {
    #[command(flatten)]
    pub(super) extraction: ExtractionArgument,
    /// Why, or what it rests on, in your words.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(super) note: String,
    #[command(flatten)]
    pub(super) by: PersonArgument,
}
