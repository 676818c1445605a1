//! Who the staff are: list, add, change, one-time codes.

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use switchyard_actors::model::AdminId;

use super::door::{TOTP, busy, role};
use super::order::{fitting, normal_email};
use super::{
    AdminChangeOrder, AdminOrder, AdminState, AdminTokens, AdminView, CodeOrder, DoorFault, LoginOrder,
    Origin, RefreshOrder, Staff, StaffService, TotpOffer,
};
use crate::crypto::Totp;
use crate::services::fault::Fault;
use crate::services::sensitive::Sensitive;
use crate::store::{AdminChange, AdminRow, NewAdmin};

impl StaffService {
    async fn row(&self, id: AdminId) -> Result<AdminRow, Fault> {
        self.parts.store.admin(id).await?.ok_or_else(|| Fault::NotFound(format!("admin {id}")))
    }

    async fn hashed(&self, password: &Sensitive, email: &str) -> Result<String, Fault> {
        fitting(password, email)?;
        let given = SecretString::from(password.expose());
        self.parts.passwords.hash(&given).await.map_err(busy)
    }
}

#[async_trait]
impl Staff for StaffService {
    async fn login(&self, order: LoginOrder, from: Origin) -> Result<AdminTokens, DoorFault> {
        self.do_login(order, from).await
    }

    async fn refresh(&self, order: RefreshOrder, from: Origin) -> Result<AdminTokens, DoorFault> {
        self.do_refresh(order, from).await
    }

    async fn logout(&self, order: RefreshOrder, from: Origin) -> Result<(), DoorFault> {
        self.do_logout(order, from).await
    }

    async fn offer_totp(&self, admin: AdminId) -> Result<TotpOffer, Fault> {
        let row = self.row(admin).await?;
        let secret = Totp::new_secret(self.parts.rng.as_ref());
        let failed = |error: crate::crypto::TotpError| Fault::Unavailable(error.to_string());
        let totp = Totp::new(&secret, &self.parts.config.issuer, &row.email).map_err(failed)?;
        let shown = totp.enrolment(&secret).map_err(failed)?;
        let sealed = self.parts.store.seal_system(TOTP, admin.as_uuid().as_bytes(), &secret).await?;
        self.parts.store.offer_admin_totp(admin, sealed).await?;
        let sensitive = |text: &SecretString| Sensitive::from(SecretString::from(text.expose_secret()));
        Ok(TotpOffer { secret: sensitive(&shown.secret), url: sensitive(&shown.url) })
    }

    async fn confirm_totp(&self, admin: AdminId, order: CodeOrder) -> Result<(), Fault> {
        let row = self.row(admin).await?;
        if row.totp.is_none() || row.totp_since.is_some() {
            return Err(Fault::Conflict("there is no secret to confirm: enrol first".to_owned()));
        }
        if self.takes_code(&row, &order.code, true).await? { Ok(()) } else { Err(Fault::WrongCode) }
    }

    async fn list(&self) -> Result<Vec<AdminView>, Fault> {
        self.parts.store.admins(self.parts.config.admins_max).await?.into_iter().map(view).collect()
    }

    async fn get(&self, id: AdminId) -> Result<AdminView, Fault> {
        view(self.row(id).await?)
    }

    async fn add(&self, order: AdminOrder) -> Result<AdminView, Fault> {
        let email = normal_email(&order.email);
        let email = email.ok_or_else(|| Fault::invalid("/email", "it is no e-mail address"))?;
        let max = self.parts.config.admins_max;
        let count = self.parts.store.admins(max).await?.len();
        if u64::try_from(count).unwrap_or(u64::MAX) >= max {
            return Err(Fault::Conflict(format!(
                "there are {max} admins, and that is the most there may be"
            )));
        }
        let password = self.hashed(&order.password, &email).await?;
        let id = AdminId::from_uuid(self.parts.ids.uuid());
        let role = order.role.as_str().to_owned();
        self.parts.store.add_admin(NewAdmin { id, email, password, role }).await?;
        tracing::info!(admin = %id, "admin was made");
        self.get(id).await
    }

    async fn change(&self, id: AdminId, order: AdminChangeOrder) -> Result<AdminView, Fault> {
        let row = self.row(id).await?;
        let password = match &order.password {
            Some(password) => Some(self.hashed(password, &row.email).await?),
            None => None,
        };
        let unlocks = password.is_some();
        let change = AdminChange {
            role: order.role.map(|role| role.as_str().to_owned()),
            active: order.state.map(|state| state == AdminState::Active),
            password,
            without_totp: order.without_totp,
        };
        let row = self.parts.store.change_admin(id, change).await?;
        if unlocks {
            self.unlock(&row.email).await?;
        }
        view(row)
    }
}

fn view(row: AdminRow) -> Result<AdminView, Fault> {
    Ok(AdminView {
        role: role(&row)?,
        id: row.id,
        email: row.email,
        state: if row.active { AdminState::Active } else { AdminState::Disabled },
        totp_enrolled: row.totp_since.is_some(),
        created_at: row.created_at,
        signed_in_at: row.signed_in_at,
    })
}
