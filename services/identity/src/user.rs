//! Users: the rows of `auth_user`, and what the service itself knows of them.

use kit::database::DatabaseError;
use serde::Serialize;
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// The roles that `auth_user` has as columns.
pub const STAFF: &str = "staff";
/// May do everything.
pub const SUPERUSER: &str = "superuser";

/// So many rows are looked through for a password to try in place of none.
const DECOY_ROWS: &str = "100";

/// A row of `auth_user`, without `last_login`: a login writes no moved table.
#[derive(Clone, FromRow)]
pub(crate) struct User {
    pub(crate) id: i32,
    pub(crate) password: String,
    pub(crate) is_superuser: bool,
    pub(crate) username: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) email: String,
    pub(crate) is_staff: bool,
    pub(crate) is_active: bool,
    pub(crate) date_joined: OffsetDateTime,
}

/// Nothing of it is for the log but who it is.
impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "user {}", self.id)
    }
}

const COLUMNS: &str = "id, password, is_superuser, username, first_name, last_name, email, \
     is_staff, is_active, date_joined";

/// By what somebody logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Login {
    Email(String),
    Username(String),
}

/// What a user is told of themselves.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "Django's columns")]
pub(crate) struct Profile {
    id: i32,
    username: String,
    email: String,
    email_verified: bool,
    first_name: String,
    last_name: String,
    is_active: bool,
    is_staff: bool,
    is_superuser: bool,
    roles: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    date_joined: OffsetDateTime,
}

/// A new user, as checked.
#[derive(Debug)]
pub(crate) struct NewUser {
    pub(crate) username: String,
    pub(crate) email: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
}

/// Who logs in. An e-mail address is first taken as it is written, and then
/// without regard to case; where more than one user has it, nobody does.
pub(crate) async fn find(
    connection: &mut PgConnection,
    login: &Login,
) -> Result<Option<User>, DatabaseError> {
    match login {
        Login::Username(name) => {
            let query =
                format!("select {COLUMNS} from auth_user where username = normalize($1, NFKC)");
            let found = sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(name);
            Ok(found.fetch_optional(connection).await?)
        }
        Login::Email(email) => {
            let query = format!(
                "select {COLUMNS} from auth_user where lower(email) = lower($1) and email <> '' \
                 order by email = $1 desc limit 2"
            );
            let found = sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(email);
            Ok(meant(email, found.fetch_all(connection).await?))
        }
    }
}

/// Under what the failures of a login are counted: alike for all spellings that
/// [`find`] takes for one, and for those whom nobody has. Asked of the database,
/// since it is the one that decides which these are.
pub(crate) async fn counted_as(
    connection: &mut PgConnection,
    login: &Login,
) -> Result<String, DatabaseError> {
    let (query, name) = match login {
        Login::Email(email) => ("select 'email ' || lower($1)", email),
        Login::Username(name) => ("select 'username ' || lower(normalize($1, NFKC))", name),
    };
    let counted = sqlx::query_scalar(query).bind(name);
    Ok(counted.fetch_one(connection).await?)
}

/// Of those who have an address in any spelling, exact ones first.
fn meant(email: &str, found: Vec<User>) -> Option<User> {
    let mut found = found.into_iter();
    let (first, second) = (found.next()?, found.next());
    let is_exact = |user: &User| user.email == email;
    match second {
        None => Some(first),
        Some(second) if is_exact(&first) && !is_exact(&second) => Some(first),
        Some(_) => None,
    }
}

pub(crate) async fn by_id(
    connection: &mut PgConnection,
    id: i32,
) -> Result<Option<User>, DatabaseError> {
    let query = format!("select {COLUMNS} from auth_user where id = $1");
    let found = sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(id);
    Ok(found.fetch_optional(connection).await?)
}

/// Somebody's password, to be tried for those who have none: what it costs is
/// then what passwords here cost. The same for the same number.
pub(crate) async fn decoy(
    connection: &mut PgConnection,
    number: u32,
) -> Result<Option<String>, DatabaseError> {
    let query = format!(
        "select password from ( \
           select id, password from auth_user \
           where id >= $1 % (select greatest(max(id), 1) from auth_user) \
           order by id limit {DECOY_ROWS} \
         ) as few where password like '%$%' and password not like '!%' order by id limit 1"
    );
    let found = sqlx::query_scalar(sqlx::AssertSqlSafe(query)).bind(i64::from(number));
    Ok(found.fetch_optional(connection).await?)
}

/// Whether the username has the form in which Django keeps it.
pub(crate) async fn is_normal(
    connection: &mut PgConnection,
    username: &str,
) -> Result<bool, DatabaseError> {
    let query = "select $1 is nfkc normalized";
    Ok(sqlx::query_scalar(query)
        .bind(username)
        .fetch_one(connection)
        .await?)
}

/// Adds somebody; `None` where the username or the address is somebody's in
/// any spelling. Two at once: the second waits for the first.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    new: &NewUser,
    password: &str,
) -> Result<Option<User>, DatabaseError> {
    sqlx::query(
        "select pg_advisory_xact_lock(hashtextextended('identity:' || kind || lower(name), 0)) \
         from (values ('email ', $1), ('username ', $2)) as names (kind, name)",
    )
    .bind(&new.email)
    .bind(&new.username)
    .execute(&mut *connection)
    .await?;
    let query = format!(
        "insert into auth_user (password, is_superuser, username, first_name, last_name, email, \
             is_staff, is_active, date_joined) \
         select $1, false, $2, $3, $4, $5, false, true, now() \
         where not exists (select from auth_user where lower(email) = lower($5)) \
           and not exists (select from auth_user where lower(username) = lower($2)) \
         on conflict do nothing returning {COLUMNS}"
    );
    let inserted = sqlx::query_as(sqlx::AssertSqlSafe(query))
        .bind(password)
        .bind(&new.username)
        .bind(&new.first_name)
        .bind(&new.last_name)
        .bind(&new.email);
    Ok(inserted.fetch_optional(connection).await?)
}

/// Writes a password, if it is still the one that was seen.
pub(crate) async fn set_password(
    connection: &mut PgConnection,
    user: &User,
    password: &str,
) -> Result<bool, DatabaseError> {
    let written = sqlx::query("update auth_user set password = $3 where id = $1 and password = $2")
        .bind(user.id)
        .bind(&user.password)
        .bind(password)
        .execute(connection)
        .await?;
    Ok(written.rows_affected() == 1)
}

/// The roles of a user, those of `auth_user` among them.
pub(crate) async fn roles(
    connection: &mut PgConnection,
    user: &User,
) -> Result<Vec<String>, DatabaseError> {
    let query = "select role from user_role where user_id = $1 order by role collate \"C\"";
    let mut roles: Vec<String> = sqlx::query_scalar(query)
        .bind(user.id)
        .fetch_all(connection)
        .await?;
    let columns = [(user.is_staff, STAFF), (user.is_superuser, SUPERUSER)];
    roles.extend(
        columns
            .iter()
            .filter(|(has, _)| *has)
            .map(|(_, role)| (*role).to_owned()),
    );
    Ok(roles)
}

/// Makes these the roles of a user.
pub(crate) async fn set_roles(
    connection: &mut PgConnection,
    user: i32,
    roles: &[String],
) -> Result<(), DatabaseError> {
    sqlx::query("delete from user_role where user_id = $1 and role <> all($2)")
        .bind(user)
        .bind(roles)
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "insert into user_role (user_id, role) select $1, unnest($2::text[]) on conflict do nothing",
    )
    .bind(user)
    .bind(roles)
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that the user reads at the address that they have.
pub(crate) async fn verify_email(
    connection: &mut PgConnection,
    user: &User,
) -> Result<(), DatabaseError> {
    sqlx::query(
        "insert into verified_email (user_id, email) values ($1, $2) \
         on conflict (user_id) do update set email = excluded.email, at = now()",
    )
    .bind(user.id)
    .bind(&user.email)
    .execute(connection)
    .await?;
    Ok(())
}

/// What a user is told of themselves.
pub(crate) async fn profile(
    connection: &mut PgConnection,
    user: User,
) -> Result<Profile, DatabaseError> {
    let roles = roles(connection, &user).await?;
    let email_verified = sqlx::query_scalar(
        "select exists (select from verified_email where user_id = $1 and email = $2)",
    )
    .bind(user.id)
    .bind(&user.email)
    .fetch_one(connection)
    .await?;
    Ok(Profile {
        id: user.id,
        username: user.username,
        email: user.email,
        email_verified,
        first_name: user.first_name,
        last_name: user.last_name,
        is_active: user.is_active,
        is_staff: user.is_staff,
        is_superuser: user.is_superuser,
        roles,
        date_joined: user.date_joined,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(emails: &[&str]) -> Vec<User> {
        let user = |(id, email): (i32, &&str)| User {
            id,
            password: String::new(),
            is_superuser: false,
            username: String::new(),
            first_name: String::new(),
            last_name: String::new(),
            email: (*email).to_owned(),
            is_staff: false,
            is_active: true,
            date_joined: OffsetDateTime::UNIX_EPOCH,
        };
        (0..).zip(emails).map(user).collect()
    }

    #[test]
    fn an_address_is_one_user_or_none() {
        let table: [(&[&str], Option<i32>); 6] = [
            (&[], None),
            (&["a@x"], Some(0)),
            (&["A@x"], Some(0)),
            (&["a@x", "A@x"], Some(0)),
            (&["a@x", "a@x"], None),
            (&["A@x", "a@X"], None),
        ];
        for (found, expected) in table {
            let meant = meant("a@x", users(found)).map(|user| user.id);
            assert_eq!(meant, expected, "{found:?}");
        }
    }
}
