//! `banyan checklist` and `banyan attest`.

use super::{
    commands::{ask, done},
    render,
};
use crate::{client::Client, exit::Failure};
use conductor::{
    api::Parameters,
    status::{ChecklistStatus, ItemStatus},
};
use protocol::checklist::ItemState;
use report::clock::minute;
use std::path::Path;

/// Shows all lists, or one, once it was checked where that is asked for.
pub(super) async fn run(
    state: &Path,
    extraction: &str,
    list: Option<&str>,
    runs: bool,
    json: bool,
) -> Result<(), Failure> {
    let client = Client::find(state)?;
    let lists = match list.filter(|_| runs) {
        Some(of) => client.check_items(extraction, of).await?,
        None => client.checklists(extraction).await?,
    };
    let Some(name) = list else {
        if json {
            return render::json(&lists);
        }
        lists.iter().for_each(summary);
        say!("`banyan checklist {extraction} LIST` shows one, `--run` has it checked.");
        return Ok(());
    };
    let items = found(&lists, name).ok_or_else(|| {
        let names: Vec<_> = lists.iter().map(|list| list.name.as_str()).collect();
        let names = names.join(", ");
        Failure::Refused(format!(
            "there is no checklist and no item `{name}`; the lists are {names}"
        ))
    })?;
    if json {
        render::json(&items)?;
    } else {
        items.iter().for_each(show);
    }
    if items
        .iter()
        .all(|item| item.state == ItemState::Done.as_str())
    {
        return Ok(());
    }
    Err(Failure::Reported(1))
}

/// The items of a list, or one.
fn found(lists: &[ChecklistStatus], name: &str) -> Option<Vec<ItemStatus>> {
    if let Some(list) = lists.iter().find(|list| list.name == name) {
        return Some(list.items.clone());
    }
    let mut items = lists.iter().flat_map(|list| &list.items);
    items
        .find(|item| item.name == name)
        .map(|item| vec![item.clone()])
}

fn open(list: &ChecklistStatus) -> Vec<&str> {
    let items = list.items.iter();
    let open = items.filter(|item| item.state != ItemState::Done.as_str());
    open.map(|item| item.name.as_str()).collect()
}

fn summary(list: &ChecklistStatus) {
    let open = open(list);
    let text = if open.is_empty() {
        format!("{}: all {} items are done", list.name, list.items.len())
    } else {
        format!("{}: not done: {}", list.name, open.join(", "))
    };
    say!("{}", render::wrapped(&text));
}

fn show(item: &ItemStatus) {
    let state = if item.checking {
        "checking"
    } else {
        &item.state
    };
    let indent = " ".repeat(9);
    let indented = |text: &str| say!("{}", render::paragraph(&indent, &indent, text));
    let head = format!("{state:<9}");
    let text = format!("{}: {}", item.name, item.text);
    say!("{}", render::paragraph(&head, &indent, &text));
    if let (Some(found), Some(at)) = (&item.found, item.checked_ms) {
        indented(&format!("{found} ({})", minute(at)));
    }
    if let (Some(by), Some(at)) = (&item.by, item.attested_ms) {
        let note = item.note.as_deref().unwrap_or_default();
        indented(&format!("{by}: {note} ({})", minute(at)));
    }
}

/// Says what of a list is not done, where that can be known; it stops nothing.
pub(super) async fn remind(state: &Path, extraction: &str, list: &str) {
    let Ok(client) = Client::find(state) else {
        return;
    };
    let lists = client.checklists(extraction).await.unwrap_or_default();
    let Some(list) = lists.iter().find(|one| one.name == list) else {
        return;
    };
    let open = open(list);
    if !open.is_empty() {
        let text = format!(
            "Not done of `{}`: {}. See `banyan checklist {extraction} {0}`.",
            list.name,
            open.join(", ")
        );
        say!("{}", render::wrapped(&text));
    }
}

/// Says that an item is done.
pub(super) async fn attest(
    state: &Path,
    extraction: &str,
    attested: &Parameters,
    json: bool,
) -> Result<(), Failure> {
    done(ask(state, extraction, "attest", attested).await?, json)?;
    let lists = Client::find(state)?.checklists(extraction).await?;
    let item = attested.item.as_deref().unwrap_or_default();
    let items = found(&lists, item).unwrap_or_default();
    if json {
        return render::json(&items);
    }
    items.iter().for_each(show);
    Ok(())
}
