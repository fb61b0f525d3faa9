//! Both sides asked directly, with nothing between: what one has issued is good
//! at the other, and what was ended at one is over at the other.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::time::Duration;
use testbed::deadline;
use testbed::http_client::{Answer, Call, call};
use testbed::people::{Pair, Person, change, with};

const LIMIT: Duration = Duration::from_secs(20);

async fn ask(side: &str, what: Call, status: u16) -> Result<Answer> {
    let line = what.line();
    let answer = call(side, &what, LIMIT).await?;
    ensure!(
        answer.status == status,
        "{line} at {side}: {} in place of {status}: {}",
        answer.status,
        answer.body_head()
    );
    Ok(answer)
}

async fn pair(side: &str, what: Call) -> Result<Pair> {
    Pair::of(&ask(side, what, 200).await?).context("no tokens")
}

fn me(pair: &Pair) -> Call {
    with(Call::get("/auth/me"), "Bearer", &pair.access)
}

fn refresh(pair: &Pair) -> Call {
    with(Call::post_nothing("/auth/refresh"), "Bearer", &pair.refresh)
}

/// A password is good at a side.
pub(super) async fn ensure_known(side: &str, person: &Person) -> Result<()> {
    let known = ask(side, person.login(), 200).await;
    known
        .map(drop)
        .with_context(|| format!("the password of {}", person.username))
}

/// A password is good at the monolith's old address, which writes nothing.
pub(super) async fn ensure_known_of_old(monolith: &str, person: &Person) -> Result<()> {
    let body = json!({ "username": person.username, "password": person.password });
    let call = Call::post("/api/auth/login", &body);
    ask(monolith, call, 200).await.map(drop)
}

/// A session moves between both sides as its tokens are shown.
pub(super) async fn sessions_are_of_both(one: &str, other: &str, person: &Person) -> Result<()> {
    let first = pair(one, person.login()).await?;
    ask(other, me(&first), 200).await?;
    let second = pair(other, refresh(&first)).await?;
    ask(one, me(&second), 200).await?;
    let third = pair(one, refresh(&second)).await?;
    let fourth = pair(one, refresh(&third)).await?;
    ask(other, me(&fourth), 200).await?;

    // Another one, which goes over by its refresh token alone.
    let bystander = pair(one, person.login()).await?;
    let bystander = pair(other, refresh(&bystander)).await?;

    // Each used token is a replay wherever it is shown, and ends it everywhere.
    for (at, used) in [(one, &first), (other, &first), (other, &third)] {
        let stolen = pair(one, person.login()).await?;
        let next = pair(other, refresh(&stolen)).await?;
        ask(at, refresh(&stolen), 401).await?;
        ask(one, refresh(&next), 401).await?;
        ask(other, refresh(&next), 401).await?;
        ask(one, me(&next), 401).await?;
        ask(other, me(&next), 401).await?;
        ask(at, refresh(used), 401).await?;
    }
    ask(one, me(&fourth), 401).await?;
    ask(other, refresh(&fourth), 401).await?;
    ask(one, me(&bystander), 200).await?;

    // Logged out at one, logged out at the other, by whatever token.
    ask(
        one,
        with(
            Call::post_nothing("/auth/logout"),
            "Bearer",
            &bystander.access,
        ),
        204,
    )
    .await?;
    for side in [one, other] {
        ask(side, me(&bystander), 401).await?;
        ask(side, refresh(&bystander), 401).await?;
    }
    Ok(())
}

/// A new password ends the other sessions of both sides, and not the one that
/// it was set in, whichever side began that.
pub(super) async fn a_password_ends_the_others(
    owner: &str,
    follower: &str,
    person: &mut Person,
    new: &str,
) -> Result<()> {
    let own = pair(follower, person.login()).await?;
    let others = [
        pair(owner, person.login()).await?,
        pair(follower, person.login()).await?,
    ];
    let changing = || with(change(&person.password, new), "Bearer", &own.access);
    // Only the owner writes.
    ask(follower, changing(), 503).await?;
    ask(owner, changing(), 204).await?;
    new.clone_into(&mut person.password);
    deadline::until("the new password at both sides", LIMIT, async || {
        let answer = call(follower, &person.login(), LIMIT).await?;
        Ok((answer.status == 200).then_some(()))
    })
    .await?;
    for side in [owner, follower] {
        ask(side, me(&own), 200).await?;
        for other in &others {
            ask(side, me(other), 401).await?;
            ask(side, refresh(other), 401).await?;
        }
    }
    let next = pair(follower, refresh(&own)).await?;
    ask(owner, me(&next), 200).await?;
    pair(owner, refresh(&next)).await?;
    Ok(())
}
