//! What has to be done before an extraction goes on: `checklists:`.

mod check;

pub use check::AutomaticCheck;

use crate::base::{
    DatabaseUrl, Environment, Located, PlanError, ScalarOrMap, Text, parse, plain, plain_name, time,
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::{collections::BTreeMap, time::Duration};
use url::Url;

/// What is done before the first shift or the switch.
pub const PRE_MIGRATION: &str = "pre-migration";

/// What is done before the old tables go.
pub const DECOMMISSIONING: &str = "decommissioning";

/// How long an automatic answer counts, and how long a person's does.
const CHECKED_AGE: Duration = Duration::from_hours(24);
const ATTESTED_AGE: Duration = Duration::from_hours(7 * 24);

/// Items are checked one after the other, and again every minute.
const AGE_MIN: Duration = Duration::from_mins(1);

/// Longer texts are refused: they are kept for ever.
const TEXT_BYTES_MAX: usize = 200;

/// The lists, and what their checks need.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChecklistsFile {
    /// Where Prometheus is, for `alerts`: `http://host:9090`.
    #[serde(default)]
    pub(crate) prometheus: Option<Text>,
    /// A database on a server where `backup` may make another one, restore into it and
    /// drop it: `postgres://user:password@host:port/database`.
    #[serde(default)]
    pub(crate) scratch: Option<Text>,
    /// The items of a list, by its name. In place of those that `pre-migration` and
    /// `decommissioning` have, or of a list of your own. A built-in item by its name;
    /// any other is what a named person attests.
    #[serde(default)]
    pub(crate) lists: BTreeMap<String, Located<Vec<Located<ScalarOrMap<ItemFile>>>>>,
}

/// An item.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ItemFile {
    /// Its name: a built-in one, or your own.
    #[serde(default)]
    pub(crate) item: Option<Text>,
    /// What has been done then, in a few words.
    #[serde(default)]
    pub(crate) text: Option<Text>,
    /// Older answers do not count (default: a day of what is checked, a week of what is
    /// attested).
    #[serde(default)]
    pub(crate) max_age: Option<Text>,
}

/// The lists by name, and what their checks need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checklists {
    /// Where Prometheus is.
    pub prometheus: Option<Url>,
    /// A database on the server where a backup is restored for trial.
    pub scratch: Option<DatabaseUrl>,
    /// The two built-in lists are always among them.
    pub lists: BTreeMap<String, Vec<ChecklistItem>>,
}

/// An item of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChecklistItem {
    /// Its name.
    pub name: String,
    /// What has been done then, in words.
    pub text: String,
    /// How it is found out; `None`: a person attests it.
    pub check: Option<AutomaticCheck>,
    /// Older answers do not count.
    pub max_age: Duration,
}

impl Default for Checklists {
    fn default() -> Self {
        let list = |names: &[&str]| names.iter().map(|name| built_in(name)).collect();
        Self {
            prometheus: None,
            scratch: None,
            lists: BTreeMap::from([
                (PRE_MIGRATION.to_owned(), list(check::PRE_MIGRATION)),
                (DECOMMISSIONING.to_owned(), list(check::DECOMMISSIONING)),
            ]),
        }
    }
}

impl Checklists {
    /// The items that names stand for, each of a list or of an item, once each. The error
    /// is the name that nothing has.
    pub fn items<'a>(&'a self, names: &[String]) -> Result<Vec<&'a ChecklistItem>, String> {
        let mut items: Vec<&ChecklistItem> = Vec::new();
        for name in names {
            let all = || self.lists.values().flatten();
            let found: Vec<_> = match self.lists.get(name) {
                Some(list) => list.iter().collect(),
                None => all().filter(|item| item.name == *name).take(1).collect(),
            };
            if found.is_empty() {
                return Err(name.clone());
            }
            for item in found {
                if !items.iter().any(|one| one.name == item.name) {
                    items.push(item);
                }
            }
        }
        Ok(items)
    }
}

pub(crate) fn resolve(
    file: Option<ChecklistsFile>,
    environment: Environment<'_>,
) -> Result<Checklists, PlanError> {
    let mut checklists = Checklists::default();
    let Some(file) = file else {
        return Ok(checklists);
    };
    let prometheus = file.prometheus.as_ref();
    let prometheus = prometheus.map(|text| parse(text, environment, http));
    checklists.prometheus = prometheus.transpose()?;
    let database = |text: &str| DatabaseUrl::parse_in(text, environment);
    let scratch = file.scratch.as_ref();
    let scratch = scratch.map(|text| parse(text, environment, database));
    checklists.scratch = scratch.transpose()?;
    let mut lists: Vec<String> = file.lists.keys().map(ToString::to_string).collect();
    lists.extend(checklists.lists.keys().cloned());
    for (name, Located { value: items, at }) in file.lists {
        let name = plain_name(&name).map_err(|why| PlanError::at(at, why))?;
        if AutomaticCheck::of(&name).is_some() {
            return Err(
                PlanError::at(at, format!("`{name}` is an item and no list"))
                    .remedy("Give the list another name"),
            );
        }
        let items = items.into_iter().map(|one| item(one, environment));
        let items: Vec<_> = items.collect::<Result<_, _>>()?;
        if items.is_empty() {
            return Err(PlanError::at(at, format!("`{name}` has no items"))
                .remedy("Name what has to be done, or leave the list out"));
        }
        if let Some(inner) = items.iter().find(|item| lists.contains(&item.name)) {
            // As an item it would be what somebody attests, unchecked.
            let why = format!("`{}` is a list, and `{name}` has items only", inner.name);
            return Err(PlanError::at(at, why).remedy("Name its items, or both lists in the step"));
        }
        let mut names: Vec<_> = items.iter().map(|item| &item.name).collect();
        names.sort();
        if let Some([one, _]) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            let why = format!("`{name}` has the item `{one}` twice");
            return Err(PlanError::at(at, why).remedy("Take one of them away"));
        }
        checklists.lists.insert(name, items);
    }
    Ok(checklists)
}

fn item(
    Located { value, at }: Located<ScalarOrMap<ItemFile>>,
    environment: Environment<'_>,
) -> Result<ChecklistItem, PlanError> {
    let file = match value {
        ScalarOrMap::Scalar(name) => {
            let name = plain_name(&name).map_err(|why| PlanError::at(at, why))?;
            return Ok(built_in(&name));
        }
        ScalarOrMap::Map(file) => file,
    };
    let Some(name) = &file.item else {
        return Err(PlanError::at(at, "the item has no name").remedy("Name it: `item: dba-signed`"));
    };
    let named = built_in(&parse(name, environment, plain_name)?);
    let text = file.text.as_ref().map(|text| plain(text, environment));
    let text = text.transpose()?.unwrap_or(named.text);
    if text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
        let why = format!("an item's text is one line of at most {TEXT_BYTES_MAX} bytes");
        return Err(PlanError::at(at, why));
    }
    let max_age = file.max_age.as_ref().map(time).transpose()?;
    if let Some(text) = file
        .max_age
        .filter(|_| max_age.is_some_and(|age| age < AGE_MIN))
    {
        return Err(
            PlanError::at(text.at, "the answer would be too old before it counts")
                .remedy("Write 1m at least, such as `max-age: 24h`"),
        );
    }
    Ok(ChecklistItem {
        text,
        max_age: max_age.unwrap_or(named.max_age),
        ..named
    })
}

/// An item by its name alone.
fn built_in(name: &str) -> ChecklistItem {
    let check = AutomaticCheck::of(name);
    ChecklistItem {
        name: name.to_owned(),
        text: check::text(name).unwrap_or(name).to_owned(),
        max_age: if check.is_some() {
            CHECKED_AGE
        } else {
            ATTESTED_AGE
        },
        check,
    }
}

fn http(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok();
    url.filter(|url| url.scheme() == "http" && url.has_host() && url.query().is_none())
        .ok_or_else(|| "Prometheus is asked over http: write http://host:9090".to_owned())
}
