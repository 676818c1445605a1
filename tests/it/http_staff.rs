//! An allow-list of this machine and a record that is only counted, for the tests of the HTTP surface.

use std::net::IpAddr;
use std::sync::Mutex;

use async_trait::async_trait;
use switchyard::services::audit::{Actor, Asked, Audit, AuditEntry, AuditQuery, Change, OpenOrder, Outcome};
use switchyard::services::fault::Fault;
use switchyard::services::networks::{AllowList, Changer, NetworkOrder, Networks};
use switchyard::services::page::{Listed, Page};
use switchyard::services::staff::{
    AdminChangeOrder, AdminOrder, AdminTokens, AdminView, CodeOrder, DoorFault, LoginOrder, Origin,
    RefreshOrder, Staff, TotpOffer,
};
use switchyard_actors::model::AdminId;
use uuid::Uuid;

/// Lets this machine in, and remembers what was put on record.
#[derive(Default)]
pub(crate) struct FakeStaff {
    /// Actions that were asked for, and how they ended.
    pub(crate) record: Mutex<Vec<(String, Option<Outcome>)>>,
}

#[async_trait]
impl Networks for FakeStaff {
    async fn allows(&self, address: IpAddr) -> bool {
        address.is_loopback()
    }

    async fn list(&self) -> Result<AllowList, Fault> {
        Ok(AllowList { revision: 0, items: Vec::new() })
    }

    async fn replace(&self, _: Changer, _: u64, _: Vec<NetworkOrder>) -> Result<AllowList, Fault> {
        Networks::list(self).await
    }
}

#[async_trait]
impl Audit for FakeStaff {
    async fn asked(&self, asked: Asked) -> Result<OpenOrder, Fault> {
        self.record.lock().unwrap().push((asked.action.clone(), None));
        Ok(OpenOrder::new(Uuid::from_u128(1), Actor::Operator, asked))
    }

    async fn ended(&self, order: OpenOrder, outcome: Outcome, _: Change) -> Result<(), Fault> {
        self.record.lock().unwrap().push((order.action().to_owned(), Some(outcome)));
        Ok(())
    }

    async fn entries(&self, _: &AuditQuery, _: Page<i64>) -> Result<Listed<AuditEntry, i64>, Fault> {
        Ok(Listed { items: Vec::new(), next_cursor: None })
    }

    async fn verify(&self) -> Result<i64, Fault> {
        Ok(0)
    }
}

fn nobody<T>() -> Result<T, Fault> {
    Err(Fault::Conflict("there are no admins here".to_owned()))
}

/// There are no admins here.
#[async_trait]
impl Staff for FakeStaff {
    async fn login(&self, _: LoginOrder, _: Origin) -> Result<AdminTokens, DoorFault> {
        Err(DoorFault::Refused)
    }

    async fn refresh(&self, _: RefreshOrder, _: Origin) -> Result<AdminTokens, DoorFault> {
        Err(DoorFault::SessionOver)
    }

    async fn logout(&self, _: RefreshOrder, _: Origin) -> Result<(), DoorFault> {
        Ok(())
    }

    async fn offer_totp(&self, _: AdminId) -> Result<TotpOffer, Fault> {
        nobody()
    }

    async fn confirm_totp(&self, _: AdminId, _: CodeOrder) -> Result<(), Fault> {
        nobody()
    }

    async fn list(&self) -> Result<Vec<AdminView>, Fault> {
        Ok(Vec::new())
    }

    async fn get(&self, _: AdminId) -> Result<AdminView, Fault> {
        nobody()
    }

    async fn add(&self, _: AdminOrder) -> Result<AdminView, Fault> {
        Err(Fault::Conflict("nobody is taken on here".to_owned()))
    }

    async fn change(&self, _: AdminId, _: AdminChangeOrder) -> Result<AdminView, Fault> {
        nobody()
    }
}
