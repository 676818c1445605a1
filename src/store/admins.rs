//! Admins and their sign-ins. The last active owner stays one, whoever asks.

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseTransaction, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use switchyard_actors::model::AdminId;
use switchyard_actors::ports::StoreError;

use super::entity::{admin, admin_session};
use super::error::{run_time, unreadable};
use super::{Store, time_of};

pub(super) const OWNER: &str = "owner";
pub(super) const ACTIVE: &str = "active";
const DISABLED: &str = "disabled";

/// One of the staff as the store has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminRow {
    /// Who.
    pub id: AdminId,
    /// E-mail address in lower case.
    pub email: String,
    /// Hash of the password (PHC string).
    pub password: String,
    /// What they are for.
    pub role: String,
    /// Whether they may sign in.
    pub active: bool,
    /// The one-time password's secret, sealed; from [`Self::totp_since`] on it is asked for.
    pub totp: Option<Vec<u8>>,
    /// Since when a one-time password is asked for.
    pub totp_since: Option<DateTime<Utc>>,
    /// When they were made.
    pub created_at: DateTime<Utc>,
    /// When they signed in last.
    pub signed_in_at: Option<DateTime<Utc>>,
    /// No password is tried before this time.
    pub locked_until: DateTime<Utc>,
}

/// A new admin.
#[derive(Clone, Debug)]
pub struct NewAdmin {
    /// Who.
    pub id: AdminId,
    /// E-mail address in lower case.
    pub email: String,
    /// Hash of the password (PHC string).
    pub password: String,
    /// What they are for.
    pub role: String,
}

/// What a change of an admin sets; none leaves as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdminChange {
    /// Another role.
    pub role: Option<String>,
    /// Whether they may sign in.
    pub active: Option<bool>,
    /// Hash of another password; unlocks, too.
    pub password: Option<String>,
    /// Takes the one-time password away.
    pub without_totp: bool,
}

impl AdminChange {
    /// Whether sign-ins that are open end with it.
    const fn ends_sessions(&self) -> bool {
        self.password.is_some() || self.without_totp || matches!(self.active, Some(false))
    }
}

impl Store {
    /// Makes an admin.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when somebody has the address.
    pub async fn add_admin(&self, new: NewAdmin) -> Result<(), StoreError> {
        let row = admin::ActiveModel {
            id: Set(new.id.as_uuid()),
            email: Set(new.email),
            password: Set(new.password),
            role: Set(new.role),
            state: Set(ACTIVE.to_owned()),
            totp: Set(None),
            totp_since: Set(None),
            totp_step: Set(0),
            failures: Set(0),
            locked_until: Set(0),
            created_at: Set(self.now()),
            signed_in_at: Set(None),
        };
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let made = admin::Entity::insert(row).exec_without_returning(transaction).await;
                made.map_err(|failure| match run_time(&failure) {
                    StoreError::Conflict(_) => {
                        StoreError::Conflict("there is an admin with this e-mail address".to_owned())
                    }
                    other => other,
                })
            })
        });
        write.await.map(|_made| ())
    }

    /// Every admin, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn admins(&self, limit: u64) -> Result<Vec<AdminRow>, StoreError> {
        let found = admin::Entity::find().order_by_asc(admin::Column::Id).limit(limit).all(&self.readers);
        Ok(self.read(found).await?.into_iter().map(read_row).collect())
    }

    /// One admin.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn admin(&self, id: AdminId) -> Result<Option<AdminRow>, StoreError> {
        Ok(self.read(admin::Entity::find_by_id(id.as_uuid()).one(&self.readers)).await?.map(read_row))
    }

    /// The admin with an e-mail address, given in lower case.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn admin_by_email(&self, email: &str) -> Result<Option<AdminRow>, StoreError> {
        let found = admin::Entity::find().filter(admin::Column::Email.eq(email)).one(&self.readers);
        Ok(self.read(found).await?.map(read_row))
    }

    /// The e-mail address of an admin.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn admin_email(&self, id: AdminId) -> Result<Option<String>, StoreError> {
        Ok(self.admin(id).await?.map(|row| row.email))
    }

    /// Changes an admin; sign-ins end with a new password and with being disabled.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Conflict`] when no active owner would be left.
    pub async fn change_admin(&self, id: AdminId, change: AdminChange) -> Result<AdminRow, StoreError> {
        let now = self.now();
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                lock(transaction, id).await?;
                let row = find(transaction, id).await?;
                let owned = row.role == OWNER && row.state == ACTIVE;
                let ends = change.ends_sessions();
                let row = apply(transaction, row, change).await?;
                if owned && !(row.role == OWNER && row.state == ACTIVE) && owners(transaction).await? == 0 {
                    return Err(StoreError::Conflict(
                        "this is the last active owner: make another one first".to_owned(),
                    ));
                }
                if ends {
                    end_all(transaction, id, now, "changed").await?;
                }
                Ok(read_row(row))
            })
        });
        write.await
    }

    /// Counts a try at an admin's password before it is looked at, and says until when the next one must wait. Only a try
    /// that came after the wait of the one before counts.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn begin_admin_try(
        &self,
        id: AdminId,
        wait_after: fn(u32, &TryBounds) -> i64,
        bounds: TryBounds,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let now = self.now();
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                lock(transaction, id).await?;
                let row = find(transaction, id).await?;
                if row.locked_until > now {
                    return Ok(Some(time_of(row.locked_until)));
                }
                let failures = row.failures.saturating_add(1);
                let wait = wait_after(u32::try_from(failures).unwrap_or(u32::MAX), &bounds);
                let mut row: admin::ActiveModel = row.into();
                row.failures = Set(failures);
                row.locked_until = Set(if wait > 0 { now.saturating_add(wait) } else { 0 });
                row.update(transaction).await.map_err(|failure| run_time(&failure))?;
                Ok(None)
            })
        });
        write.await
    }

    /// Keeps a sealed secret for one-time passwords that is not yet asked for.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when one is asked for already; [`StoreError::NotFound`].
    pub async fn offer_admin_totp(&self, id: AdminId, sealed: Vec<u8>) -> Result<(), StoreError> {
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                lock(transaction, id).await?;
                let row = find(transaction, id).await?;
                if row.totp_since.is_some() {
                    return Err(StoreError::Conflict("one-time passwords are asked for already".to_owned()));
                }
                let mut row: admin::ActiveModel = row.into();
                row.totp = Set(Some(sealed));
                row.totp_step = Set(0);
                row.update(transaction).await.map_err(|failure| run_time(&failure))?;
                Ok(())
            })
        });
        write.await
    }

    /// Takes the code of a step, once: of two that come with the same code one is refused. With `confirm`, one-time
    /// passwords are asked for from now on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_admin_totp(&self, id: AdminId, step: i64, confirm: bool) -> Result<bool, StoreError> {
        let now = self.now();
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let mut take = admin::Entity::update_many()
                    .col_expr(admin::Column::TotpStep, Expr::value(step))
                    .filter(admin::Column::Id.eq(id.as_uuid()))
                    .filter(admin::Column::Totp.is_not_null())
                    .filter(admin::Column::TotpStep.lt(step));
                if confirm {
                    take = take
                        .col_expr(admin::Column::TotpSince, Expr::value(Some(now)))
                        .filter(admin::Column::TotpSince.is_null());
                }
                let taken = take.exec(transaction).await.map_err(|failure| run_time(&failure))?;
                Ok(taken.rows_affected == 1)
            })
        });
        write.await
    }
}

/// What the wait after a failed try is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TryBounds {
    /// Failures that cost no wait.
    pub free: u32,
    /// The first wait, milliseconds; it doubles with each failure.
    pub base_ms: i64,
    /// The longest wait, milliseconds.
    pub max_ms: i64,
}

/// Takes the row's lock, so that of two changes the second sees what the first did. Owners first: the last of them is
/// decided on by one change at a time.
pub(super) async fn lock(transaction: &DatabaseTransaction, id: AdminId) -> Result<(), StoreError> {
    admin::Entity::update_many()
        .col_expr(admin::Column::Failures, Expr::col(admin::Column::Failures))
        .filter(admin::Column::Id.eq(id.as_uuid()).or(admin::Column::Role.eq(OWNER)))
        .exec(transaction)
        .await
        .map_err(|failure| run_time(&failure))?;
    Ok(())
}

pub(super) async fn find(transaction: &DatabaseTransaction, id: AdminId) -> Result<admin::Model, StoreError> {
    let found = admin::Entity::find_by_id(id.as_uuid()).one(transaction).await;
    found.map_err(|failure| run_time(&failure))?.ok_or_else(|| StoreError::NotFound(format!("admin {id}")))
}

async fn apply(
    transaction: &DatabaseTransaction,
    row: admin::Model,
    change: AdminChange,
) -> Result<admin::Model, StoreError> {
    let mut row: admin::ActiveModel = row.into();
    if let Some(role) = change.role {
        row.role = Set(role);
    }
    if let Some(active) = change.active {
        row.state = Set(if active { ACTIVE } else { DISABLED }.to_owned());
    }
    if let Some(password) = change.password {
        row.password = Set(password);
        row.failures = Set(0);
        row.locked_until = Set(0);
    }
    if change.without_totp {
        row.totp = Set(None);
        row.totp_since = Set(None);
    }
    if !row.is_changed() {
        return row.try_into().map_err(|failure: sea_orm::DbErr| unreadable("admin", failure));
    }
    row.update(transaction).await.map_err(|failure| run_time(&failure))
}

async fn owners(transaction: &DatabaseTransaction) -> Result<u64, StoreError> {
    let active = admin::Entity::find()
        .filter(admin::Column::Role.eq(OWNER))
        .filter(admin::Column::State.eq(ACTIVE))
        .count(transaction);
    active.await.map_err(|failure| run_time(&failure))
}

pub(super) async fn end_all(
    transaction: &DatabaseTransaction,
    id: AdminId,
    now: i64,
    by: &'static str,
) -> Result<(), StoreError> {
    admin_session::Entity::update_many()
        .col_expr(admin_session::Column::EndedAt, Expr::value(Some(now)))
        .col_expr(admin_session::Column::EndedBy, Expr::value(Some(by)))
        .filter(admin_session::Column::AdminId.eq(id.as_uuid()))
        .filter(admin_session::Column::EndedAt.is_null())
        .exec(transaction)
        .await
        .map_err(|failure| run_time(&failure))?;
    Ok(())
}

pub(super) fn read_row(row: admin::Model) -> AdminRow {
    AdminRow {
        id: AdminId::from_uuid(row.id),
        email: row.email,
        password: row.password,
        role: row.role,
        active: row.state == ACTIVE,
        totp: row.totp,
        totp_since: row.totp_since.map(time_of),
        created_at: time_of(row.created_at),
        signed_in_at: row.signed_in_at.map(time_of),
        locked_until: time_of(row.locked_until),
    }
}
