//! Who made the store: the sandbox or a real installation. One never opens the other's.

use std::fmt;
use std::str::FromStr;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{EntityTrait, PaginatorTrait};
use switchyard_actors::ports::StoreError;
use thiserror::Error;

use super::Store;
use super::entity::{store_meta, user};
use super::error::{run_time, unreadable};

pub(super) const OWNER: &str = "owner";

/// Who made a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreOwner {
    /// `--sandbox`: seeded accounts, and a keyring beside the data.
    Sandbox,
    /// An installation with real accounts.
    Real,
}

impl StoreOwner {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Sandbox => "sandbox",
            Self::Real => "real",
        }
    }
}

impl FromStr for StoreOwner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Sandbox, Self::Real]
            .into_iter()
            .find(|owner| owner.as_str() == text)
            .ok_or_else(|| format!("unknown owner {text:?}"))
    }
}

impl fmt::Display for StoreOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sandbox => "the sandbox",
            Self::Real => "an installation with real accounts",
        })
    }
}

/// Why a store could not be claimed.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum OwnerError {
    /// It is somebody else's.
    #[error("the store was made by {found}, not by {wanted}: use another data folder")]
    Other {
        /// Who made it.
        found: StoreOwner,
        /// Who wanted it.
        wanted: StoreOwner,
    },
    /// It could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Claims the store. One without an owner is taken when it is empty; one with users and no owner counts as real.
    ///
    /// # Errors
    /// [`OwnerError::Other`] when it is not ours.
    pub async fn claim_owner(&self, wanted: StoreOwner) -> Result<(), OwnerError> {
        let claim = self.writer.run(move |transaction| {
            Box::pin(async move {
                let failed = |failure| run_time(&failure);
                let row = store_meta::Entity::find_by_id(OWNER).one(transaction).await.map_err(failed)?;
                if let Some(row) = row {
                    return row.value.parse().map_err(|failure| unreadable("owner of the store", failure));
                }
                let empty = user::Entity::find().count(transaction).await.map_err(failed)? == 0;
                let owner = if empty { wanted } else { StoreOwner::Real };
                let row = store_meta::ActiveModel {
                    name: Set(OWNER.to_owned()),
                    value: Set(owner.as_str().to_owned()),
                };
                store_meta::Entity::insert(row)
                    .on_conflict(OnConflict::new().do_nothing().to_owned())
                    .exec_without_returning(transaction)
                    .await
                    .map_err(failed)?;
                Ok(owner)
            })
        });
        match claim.await? {
            found if found == wanted => Ok(()),
            found => Err(OwnerError::Other { found, wanted }),
        }
    }
}
