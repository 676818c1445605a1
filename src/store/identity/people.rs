//! Users with an address and a password.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use secrecy::SecretString;
use serde_json::json;
use switchyard_actors::model::{Topic, UserId};
use switchyard_actors::ports::StoreError;
use uuid::Uuid;

use super::super::Store;
use super::super::domain_events::{of_user, publish_one};
use super::super::entity::{data_key, user, user_session, user_totp};
use super::super::error::{self, run_time};
use super::super::rows::word;
use super::{PASSWORD, PROFILE, Profile, UserState, open_json, open_text, seal_json, seal_text, user_row};
use crate::crypto::Tag;

/// Somebody who registers.
#[derive(Clone, Debug)]
pub struct NewPerson {
    /// The new user's id.
    pub id: UserId,
    /// Keyed hash of the normalised address.
    pub email_tag: Tag,
    /// What they say of themselves.
    pub profile: Profile,
    /// PHC string.
    pub password: SecretString,
}

/// A user as identity sees them.
#[derive(Clone, Debug)]
pub struct Person {
    /// Who.
    pub id: UserId,
    /// Name that the operator gave.
    pub label: String,
    /// What they say of themselves; none of users that the operator or the sandbox made.
    pub profile: Option<Profile>,
    /// PHC string.
    pub password: Option<SecretString>,
    /// When that was set, Unix milliseconds; never the same for two passwords.
    pub password_at: Option<i64>,
    /// What they may do at all.
    pub state: UserState,
    /// Why they are suspended.
    pub state_reason: Option<String>,
    /// Grows with every change of the profile.
    pub version: i64,
    /// Unix milliseconds.
    pub created_at: i64,
    /// Unix milliseconds.
    pub last_seen: Option<i64>,
    /// Whether one-time codes are asked for.
    pub totp: bool,
}

impl Store {
    /// Makes a user who can sign in, with their data key. False when the address is taken.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn register_person(&self, person: NewPerson) -> Result<bool, StoreError> {
        let NewPerson { id, email_tag, profile, password } = person;
        let now = self.now();
        let failed = |failure| error::vault("data key", failure);
        let fresh = self.parts.vault.create_data_key(id).map_err(failed)?;
        let key = self.parts.vault.unwrap_data_key(id, &fresh).map_err(failed)?;
        let user = user::ActiveModel {
            id: Set(id.as_uuid()),
            name: Set(String::new()),
            created_at: Set(now),
            email_tag: Set(Some(email_tag.to_vec())),
            profile: Set(Some(seal_json(&key, PROFILE, id.as_uuid(), &profile)?)),
            password: Set(Some(seal_text(&key, PASSWORD, &user_row(id), &password)?)),
            password_at: Set(Some(now)),
            state_at: Set(now),
            ..Default::default()
        };
        let data_key = data_key::ActiveModel {
            user_id: Set(id.as_uuid()),
            key_id: Set(fresh.id.as_bytes().to_vec()),
            wrapped: Set(fresh.wrapped),
            created_at: Set(now),
        };
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let failed = |failure| run_time(&failure);
                user::Entity::insert(user).exec_without_returning(transaction).await.map_err(failed)?;
                data_key::Entity::insert(data_key)
                    .exec_without_returning(transaction)
                    .await
                    .map_err(failed)?;
                publish_one(transaction, of_user(Topic::UserAdded, id, json!({})), now).await
            })
        });
        match write.await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict(_)) => {
                self.parts.vault.forget(id);
                Ok(false)
            }
            Err(failure) => Err(failure),
        }
    }

    /// The user with an address.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn person_by_email(&self, tag: Tag) -> Result<Option<Person>, StoreError> {
        let found = user::Entity::find().filter(user::Column::EmailTag.eq(tag.to_vec())).one(&self.readers);
        match self.read(found).await? {
            Some(row) => self.person_of(row).await.map(Some),
            None => Ok(None),
        }
    }

    /// A user.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::NotFound`].
    pub async fn person(&self, id: UserId) -> Result<Person, StoreError> {
        let row = self.read(user::Entity::find_by_id(id.as_uuid()).one(&self.readers)).await?;
        let row = row.ok_or_else(|| StoreError::NotFound(format!("user {id}")))?;
        self.person_of(row).await
    }

    /// What a user says of themselves; none of users without an address, and of those who are being erased.
    pub(in crate::store) async fn profile_of(
        &self,
        row: &user::Model,
    ) -> Result<Option<Profile>, StoreError> {
        let Some(blob) = row.profile.as_deref() else { return Ok(None) };
        if word::<UserState>(&row.state)? == UserState::Deleting {
            return Ok(None);
        }
        match self.data_key(UserId::from_uuid(row.id)).await {
            Ok(key) => open_json(&key, PROFILE, row.id, blob).map(Some),
            // Erased since the row was read.
            Err(StoreError::NotFound(_)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn person_of(&self, row: user::Model) -> Result<Person, StoreError> {
        let id = UserId::from_uuid(row.id);
        let state: UserState = word(&row.state)?;
        let (mut profile, mut password) = (None, None);
        // Of somebody who is being erased the key may be gone already.
        if state != UserState::Deleting && (row.profile.is_some() || row.password.is_some()) {
            let key = self.data_key(id).await?;
            profile = row.profile.map(|blob| open_json(&key, PROFILE, row.id, &blob)).transpose()?;
            password =
                row.password.map(|blob| open_text(&key, PASSWORD, &user_row(id), &blob)).transpose()?;
        }
        let totp = user_totp::Entity::find_by_id(row.id)
            .filter(user_totp::Column::ConfirmedAt.is_not_null())
            .one(&self.readers);
        let totp = self.read(totp).await?.is_some();
        Ok(Person {
            id,
            label: row.name,
            profile,
            password,
            password_at: row.password_at,
            state,
            state_reason: row.state_reason,
            version: row.version,
            created_at: row.created_at,
            last_seen: row.last_seen,
            totp,
        })
    }

    /// Replaces the profile of a user whose profile has this version still, and counts the version up. False when somebody
    /// else was faster.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Conflict`] when the address is taken.
    pub async fn change_profile(
        &self,
        id: UserId,
        version: i64,
        email_tag: Tag,
        profile: &Profile,
    ) -> Result<bool, StoreError> {
        let key = self.data_key(id).await?;
        let sealed = seal_json(&key, PROFILE, id.as_uuid(), profile)?;
        let now = self.now();
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let done = user::Entity::update_many()
                    .col_expr(user::Column::Profile, Expr::value(sealed))
                    .col_expr(user::Column::EmailTag, Expr::value(email_tag.to_vec()))
                    .col_expr(user::Column::Version, Expr::value(version.saturating_add(1)))
                    .filter(user::Column::Id.eq(id.as_uuid()))
                    .filter(user::Column::Version.eq(version))
                    .exec(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                let changed = done.rows_affected == 1;
                if changed {
                    publish_one(transaction, of_user(Topic::UserChanged, id, json!({})), now).await?;
                }
                Ok(changed)
            })
        });
        write.await
    }

    /// Sets a password in place of the one that was set at `verified`, and ends every sign-in but `keep`; a mere rehash ends
    /// none. False when another was set since, or the user is going: then nothing is changed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_password(
        &self,
        id: UserId,
        verified: Option<i64>,
        password: &SecretString,
        ends: Option<(Option<Uuid>, &'static str)>,
    ) -> Result<bool, StoreError> {
        let key = self.data_key(id).await?;
        let (sealed, now) = (seal_text(&key, PASSWORD, &user_row(id), password)?, self.now());
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                if !has_password_of(transaction, id, verified).await? {
                    return Ok(false);
                }
                let mut change = user::Entity::update_many()
                    .col_expr(user::Column::Password, Expr::value(sealed))
                    .filter(user::Column::Id.eq(id.as_uuid()));
                if ends.is_some() {
                    let at = password_time(now, verified);
                    change = change.col_expr(user::Column::PasswordAt, Expr::value(at));
                }
                change.exec(transaction).await.map_err(|failure| run_time(&failure))?;
                if let Some((keep, cause)) = ends {
                    let mut end = user_session::Entity::update_many()
                        .col_expr(user_session::Column::EndedAt, Expr::value(now))
                        .col_expr(user_session::Column::EndCause, Expr::value(cause))
                        .filter(user_session::Column::UserId.eq(id.as_uuid()))
                        .filter(user_session::Column::EndedAt.is_null());
                    if let Some(keep) = keep {
                        end = end.filter(user_session::Column::Id.ne(keep));
                    }
                    end.exec(transaction).await.map_err(|failure| run_time(&failure))?;
                }
                Ok(true)
            })
        });
        write.await
    }

    /// Notes that a user was here.
    pub(super) async fn touch_user(
        transaction: &sea_orm::DatabaseTransaction,
        id: Uuid,
        now: i64,
    ) -> Result<(), StoreError> {
        user::Entity::update_many()
            .col_expr(user::Column::LastSeen, Expr::value(now))
            .filter(user::Column::Id.eq(id))
            .exec(transaction)
            .await
            .map_err(|failure| run_time(&failure))?;
        Ok(())
    }
}

/// Whether the password that was set at `verified` is a user's still, who is not going. Holds their row until the commit, so
/// that what was found out about a password by a slow hash is still true when it is acted upon.
pub(super) async fn has_password_of(
    transaction: &sea_orm::DatabaseTransaction,
    id: UserId,
    verified: Option<i64>,
) -> Result<bool, StoreError> {
    let found = user::Entity::find_by_id(id.as_uuid()).lock(LockType::NoKeyUpdate).one(transaction).await;
    let Some(row) = found.map_err(|failure| run_time(&failure))? else { return Ok(false) };
    Ok(row.password_at == verified && word::<UserState>(&row.state)? != UserState::Deleting)
}

/// When a password is set, after the one that was set at `before`: no two of a user's have one time.
pub(super) fn password_time(now: i64, before: Option<i64>) -> i64 {
    before.map_or(now, |before| now.max(before.saturating_add(1)))
}
