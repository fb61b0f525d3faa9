//! What can be asked of the store. None of it locks anything.

use rust_decimal::Decimal;
use serde_json::value::RawValue;
use sqlx::{FromRow, Postgres, QueryBuilder};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use kit::database::DatabaseError;

use super::Store;
use crate::contract::{Contract, Event, Status};
use crate::pages::{PagePosition, PageRequest};

/// The columns of the contract `c`, by name: under `*` a statement that is prepared
/// fails for good once a migration has added one.
macro_rules! columns {
    () => {
        "c.id, c.public_id, c.reference, c.title, c.status, c.seller, c.buyer, c.plot, \
         c.price, c.currency, c.terms, c.signed_on, c.revision, c.author, c.created_at, \
         c.updated_at"
    };
}
pub(super) use columns;

/// The same with its tags, read with the contract instead of after it.
macro_rules! with_tags {
    () => {
        concat!(
            columns!(),
            ", array( \
             select t.label from contract_service.contract_tags ct \
             join contract_service.tags t on t.id = ct.tag where ct.contract = c.id) as tags"
        )
    };
}
pub(super) use with_tags;

const WITH_TAGS: &str = concat!("select ", with_tags!());

const FIND: &str = concat!(
    "select ",
    with_tags!(),
    " from contract_service.contracts c where c.id = $1"
);

const EVENTS: &str = "select id, kind, reference, at from contract_service.events \
     where contract = $1 order by at, id";

/// Which contracts a list shows.
#[derive(Debug, PartialEq, Eq)]
pub enum Filter {
    /// None at all: no row can hold what was asked for.
    Nothing,
    Where(Conditions),
}

/// All of them must hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    pub status: Option<Status>,
    pub seller: Option<i64>,
    pub buyer: Option<i64>,
    pub tag: Option<String>,
}

/// A row of `contracts` with its tags in any order.
#[derive(FromRow)]
pub(super) struct ContractRow {
    id: i64,
    public_id: Uuid,
    reference: String,
    title: String,
    status: String,
    seller: i64,
    buyer: i64,
    plot: i64,
    price: Decimal,
    currency: String,
    terms: Box<RawValue>,
    signed_on: Option<Date>,
    revision: i32,
    author: Option<i32>,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    #[sqlx(default)]
    tags: Vec<String>,
}

impl From<ContractRow> for Contract {
    fn from(mut row: ContractRow) -> Self {
        // Here, because the database would sort by its collation.
        row.tags.sort_unstable();
        Self {
            id: row.id,
            uid: row.public_id,
            reference: row.reference,
            title: row.title,
            status: row.status,
            seller: row.seller,
            buyer: row.buyer,
            land_plot: row.plot,
            price: row.price,
            currency: row.currency,
            terms: row.terms,
            tags: row.tags,
            signed_on: row.signed_on,
            version: row.revision,
            created_by: row.author,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// A page of contracts and how many there are on all pages.
#[derive(Debug)]
pub struct ContractPage {
    pub count: i64,
    pub position: PagePosition,
    pub contracts: Vec<Contract>,
}

impl Store {
    /// The page that was asked for, newest id first; nothing if there is none.
    pub async fn list(
        &self,
        filter: &Filter,
        request: PageRequest,
    ) -> Result<Option<ContractPage>, DatabaseError> {
        let count = match filter {
            Filter::Nothing => 0,
            Filter::Where(conditions) => self.count(conditions).await?,
        };
        let Some(position) = request.position(count) else {
            return Ok(None);
        };
        let contracts = match filter {
            Filter::Where(conditions) if count > 0 => {
                self.rows(conditions, position.offset(), request.size)
                    .await?
            }
            _ => Vec::new(),
        };
        Ok(Some(ContractPage {
            count,
            position,
            contracts,
        }))
    }

    pub async fn find(&self, id: i64) -> Result<Option<Contract>, DatabaseError> {
        let row: Option<ContractRow> = sqlx::query_as(FIND)
            .bind(id)
            .fetch_optional(self.database.pool())
            .await?;
        Ok(row.map(Contract::from))
    }

    pub async fn exists(&self, id: i64) -> Result<bool, DatabaseError> {
        let query = "select exists (select from contract_service.contracts where id = $1)";
        Ok(sqlx::query_scalar(query)
            .bind(id)
            .fetch_one(self.database.pool())
            .await?)
    }

    /// The events of a contract, oldest first; nothing if it does not exist.
    pub async fn events(&self, contract: i64) -> Result<Option<Vec<Event>>, DatabaseError> {
        let events: Vec<Event> = sqlx::query_as(EVENTS)
            .bind(contract)
            .fetch_all(self.database.pool())
            .await?;
        if events.is_empty() && !self.exists(contract).await? {
            return Ok(None);
        }
        Ok(Some(events))
    }

    async fn count(&self, conditions: &Conditions) -> Result<i64, DatabaseError> {
        let mut query =
            QueryBuilder::new("select count(*) from contract_service.contracts c where true");
        push_conditions(&mut query, conditions);
        Ok(query
            .build_query_scalar()
            .fetch_one(self.database.pool())
            .await?)
    }

    async fn rows(
        &self,
        conditions: &Conditions,
        offset: i64,
        limit: i64,
    ) -> Result<Vec<Contract>, DatabaseError> {
        // The page is cut out inside, so that tags are read for its rows only.
        let mut query = QueryBuilder::new(WITH_TAGS);
        query.push(" from (select * from contract_service.contracts c where true");
        push_conditions(&mut query, conditions);
        query.push(" order by c.id desc limit ").push_bind(limit);
        query.push(" offset ").push_bind(offset);
        query.push(") c order by c.id desc");
        let rows: Vec<ContractRow> = query
            .build_query_as()
            .fetch_all(self.database.pool())
            .await?;
        Ok(rows.into_iter().map(Contract::from).collect())
    }
}

fn push_conditions(query: &mut QueryBuilder<Postgres>, conditions: &Conditions) {
    if let Some(status) = conditions.status {
        query.push(" and c.status = ").push_bind(status.as_str());
    }
    if let Some(seller) = conditions.seller {
        query.push(" and c.seller = ").push_bind(seller);
    }
    if let Some(buyer) = conditions.buyer {
        query.push(" and c.buyer = ").push_bind(buyer);
    }
    if let Some(tag) = &conditions.tag {
        query.push(
            " and c.id in (select ct.contract from contract_service.contract_tags ct \
             join contract_service.tags t on t.id = ct.tag where t.label = ",
        );
        query.push_bind(tag.clone()).push(")");
    }
}
