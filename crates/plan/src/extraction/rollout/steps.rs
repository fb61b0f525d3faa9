//! The steps that an extraction goes through by itself: `rollout.steps`.

use super::gates::{self, Gates, GatesFile};
use crate::base::{
    Environment, ExtractionName, Length, Located, Percent, PlanError, ScalarOrMap, Text, Toggle,
    parse, plain, time, time_or,
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::{fmt, time::Duration};

/// Longer texts are refused: they are shown, and kept for ever.
const APPROVAL_BYTES_MAX: usize = 500;

/// One step: `switch`, `retire`, or what a share is to be and for how long. A map may be
/// `{ step: switch, checklist: [pre-migration] }`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepFile {
    /// `switch`, where more is to be said of it.
    #[serde(default)]
    pub(crate) step: Option<Text>,
    /// The share of clients whose reads go to the service from here on.
    #[serde(default)]
    pub(crate) reads: Option<Text>,
    /// The share of clients whose writes do, where both sides share the data.
    #[serde(default)]
    pub(crate) writes: Option<Text>,
    /// How long the step lasts at least (default: until its gates pass).
    #[serde(default, rename = "for")]
    pub(crate) lasts: Option<Text>,
    /// How long the service is watched, once it has all writes.
    #[serde(default)]
    pub(crate) watch: Option<Text>,
    /// What a person has to approve before the step begins, in a few words.
    #[serde(default)]
    pub(crate) approval: Option<Text>,
    /// What has to be done before the step begins: checklists by name, or items.
    #[serde(default)]
    pub(crate) checklist: Vec<Text>,
    /// Gates of this step, each in place of the one of all steps.
    #[serde(default)]
    pub(crate) gates: Option<GatesFile>,
}

/// What happens without a person.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AutomaticFile {
    /// Whether the next step begins by itself once its gates pass (default on).
    #[serde(default)]
    pub(crate) promote: Option<Toggle>,
    /// Whether all reads go back to the monolith when a gate fails (default on).
    #[serde(default)]
    pub(crate) withdraw: Option<Toggle>,
    /// Whether the data go back to the monolith when a gate fails after the switch
    /// (default off: a person is asked).
    #[serde(default)]
    pub(crate) rollback: Option<Toggle>,
}

/// The steps that an extraction goes through by itself, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// At least one.
    pub steps: Vec<Step>,
    /// What happens without a person.
    pub automatic: Automatic,
    /// The extractions that must have switched before a step of this one begins.
    pub after: Vec<ExtractionName>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is so while it lasts.
    pub does: StepDoes,
    /// How long it lasts at least.
    pub lasts: Duration,
    /// What a person has to approve before it begins.
    pub approval: Option<String>,
    /// What has to be done before it begins: names of checklists or of items.
    pub checklist: Vec<String>,
    /// What must hold while it lasts, and at its end.
    pub gates: Gates,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepDoes {
    /// Reads of so many clients go to the service.
    Reads(Percent),
    /// Reads and writes do, where both sides share the data.
    Shares {
        /// Of the reads.
        reads: Percent,
        /// Of the writes.
        writes: Percent,
    },
    /// The service becomes the owner.
    Switch,
    /// It is watched as the owner.
    Watch,
    /// The old routes and tables are proven unused.
    Retire,
}

/// What happens without a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Automatic {
    /// Whether the next step begins by itself.
    pub promote: bool,
    /// Whether reads go back when a gate fails.
    pub withdraw: bool,
    /// Whether the data go back when a gate fails after the switch.
    pub rollback: bool,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.does {
            StepDoes::Reads(share) => write!(f, "reads {share}")?,
            StepDoes::Shares { reads, writes } => write!(f, "reads {reads}, writes {writes}")?,
            StepDoes::Switch => f.write_str("switch")?,
            StepDoes::Watch => f.write_str("watch")?,
            StepDoes::Retire => f.write_str("retire")?,
        }
        if self.lasts.is_zero() {
            return Ok(());
        }
        write!(f, " for {}", Length(self.lasts))
    }
}

/// What of `rollout:` makes a schedule.
pub(super) struct ScheduleFile {
    pub(super) steps: Vec<Located<ScalarOrMap<StepFile>>>,
    pub(super) gates: Option<GatesFile>,
    pub(super) automatic: AutomaticFile,
    pub(super) after: Vec<Text>,
}

pub(super) fn resolve(
    file: ScheduleFile,
    environment: Environment<'_>,
) -> Result<Option<Schedule>, PlanError> {
    let common = gates::resolve(file.gates, &Gates::default(), environment)?;
    let mut steps: Vec<Step> = Vec::new();
    for located in file.steps {
        let at = located.at;
        let step = step(located, &common, environment)?;
        follows(&steps, &step).map_err(|(why, remedy)| PlanError::at(at, why).remedy(remedy))?;
        steps.push(step);
    }
    let name = |text: &Text| parse(text, environment, ExtractionName::new);
    let after = file.after.iter().map(name).collect::<Result<Vec<_>, _>>()?;
    let is = |toggle: Option<Toggle>, otherwise| toggle.map_or(otherwise, Toggle::is_on);
    let automatic = Automatic {
        promote: is(file.automatic.promote, true),
        withdraw: is(file.automatic.withdraw, true),
        rollback: is(file.automatic.rollback, false),
    };
    Ok((!steps.is_empty()).then_some(Schedule {
        steps,
        automatic,
        after,
    }))
}

fn step(
    Located { value, at }: Located<ScalarOrMap<StepFile>>,
    common: &Gates,
    environment: Environment<'_>,
) -> Result<Step, PlanError> {
    let wrong = |why: String| {
        PlanError::at(at, why).remedy(
            "Write `switch`, `retire`, `{ reads: 5%, for: 24h }`, \
             `{ reads: 5%, writes: 5%, for: 24h }`, `{ watch: 14d }` or \
             `{ step: switch, checklist: [pre-migration] }`",
        )
    };
    let file = match value {
        ScalarOrMap::Map(file) => file,
        ScalarOrMap::Scalar(word) => {
            let does = match word.as_str() {
                "switch" => StepDoes::Switch,
                "retire" => StepDoes::Retire,
                _ => return Err(wrong(format!("`{word}` is no step"))),
            };
            return Ok(Step {
                does,
                lasts: Duration::ZERO,
                approval: None,
                checklist: Vec::new(),
                gates: common.clone(),
            });
        }
    };
    let share = |text: &Text| parse(text, environment, Percent::parse);
    let shares = (&file.reads, &file.writes, &file.watch);
    let (does, lasts) = match shares {
        (None, None, None)
            if file
                .step
                .as_ref()
                .is_some_and(|step| step.value == "switch")
                && file.lasts.is_none() =>
        {
            (StepDoes::Switch, None)
        }
        _ if file.step.is_some() => return Err(wrong("it is no step".to_owned())),
        (Some(reads), None, None) => (StepDoes::Reads(share(reads)?), None),
        (Some(reads), Some(writes), None) => {
            let (reads, writes) = (share(reads)?, share(writes)?);
            (StepDoes::Shares { reads, writes }, None)
        }
        (None, None, Some(watch)) if file.lasts.is_none() => (StepDoes::Watch, Some(time(watch)?)),
        _ => return Err(wrong("it is no step".to_owned())),
    };
    let lasts = match lasts {
        Some(lasts) => lasts,
        None => time_or(file.lasts.as_ref(), Duration::ZERO)?,
    };
    let names = file.checklist.iter().map(|text| plain(text, environment));
    let checklist: Vec<_> = names.collect::<Result<_, _>>()?;
    let changes = match does.shares() {
        Some(shares) => shares != (Percent::ZERO, Percent::ZERO),
        None => does == StepDoes::Switch,
    };
    if !checklist.is_empty() && !changes {
        return Err(
            PlanError::at(at, "the step changes nothing, so it begins at once").remedy(
                "Put `checklist` on the first step that shifts, or write \
                 `{ step: switch, checklist: [pre-migration] }`",
            ),
        );
    }
    let approval = file.approval.as_ref();
    let common = common.of_shares(does.shares());
    Ok(Step {
        checklist,
        does,
        lasts,
        approval: approval
            .map(|text| approved(text, environment))
            .transpose()?,
        gates: gates::resolve(file.gates, &common, environment)?,
    })
}

/// What a person is to look at: one line, which is shown and kept.
fn approved(text: &Text, environment: Environment<'_>) -> Result<String, PlanError> {
    let words = plain(text, environment)?;
    let is_line = !words.trim().is_empty()
        && words.len() <= APPROVAL_BYTES_MAX
        && !words.chars().any(char::is_control);
    if is_line {
        return Ok(words);
    }
    let why = format!("what is approved is one line of 1 to {APPROVAL_BYTES_MAX} bytes");
    Err(PlanError::at(text.at, why)
        .remedy("Write what has to be so, such as `approval: the lead has seen the report`"))
}

/// Whether a step may come after those before it. The error is what is wrong, and what to
/// do.
fn follows(before: &[Step], step: &Step) -> Result<(), (&'static str, &'static str)> {
    let has_switched = before.iter().any(|one| one.does == StepDoes::Switch);
    let shares = before.iter().rev().find_map(|one| one.does.shares());
    if before.iter().any(|one| one.does == StepDoes::Retire) {
        return Err(("nothing comes after `retire`", "Make it the last step"));
    }
    match step.does {
        StepDoes::Reads(_) | StepDoes::Shares { .. } => {
            let falls = |(reads, writes): (Percent, Percent)| {
                step.does
                    .shares()
                    .is_some_and(|(is, it)| is < reads || it < writes)
            };
            if has_switched {
                return Err((
                    "after `switch` all requests go to the service",
                    "Put it before `switch`, or write `{ watch: 14d }`",
                ));
            }
            if shares.is_some_and(falls) {
                return Err((
                    "a share falls from one step to the next",
                    "Order the steps by their shares: going back is what `withdraw` does",
                ));
            }
            Ok(())
        }
        StepDoes::Switch if has_switched => Err(("it has switched already", "Write `switch` once")),
        StepDoes::Watch | StepDoes::Retire
            if !has_switched && shares.is_none_or(|(_, writes)| writes < Percent::ALL) =>
        {
            Err((
                "the service does not have all writes yet",
                "Put it after `switch`, or after `writes: 100%` where both sides share the data",
            ))
        }
        StepDoes::Switch | StepDoes::Watch | StepDoes::Retire => Ok(()),
    }
}

impl StepDoes {
    /// The shares of reads and of writes that go to the service, where it names them.
    pub fn shares(self) -> Option<(Percent, Percent)> {
        match self {
            Self::Reads(reads) => Some((reads, Percent::ZERO)),
            Self::Shares { reads, writes } => Some((reads, writes)),
            Self::Switch | Self::Watch | Self::Retire => None,
        }
    }
}
