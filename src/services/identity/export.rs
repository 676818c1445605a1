//! Everything that is kept of a user, put together.

use std::collections::BTreeMap;

use switchyard_actors::model::UserId;

use super::{Export, ExportedSection, Identity, IdentityService};
use crate::services::fault::Fault;
use crate::store::identity::EXPORTED;

impl IdentityService {
    pub(super) async fn do_export(&self, user: UserId) -> Result<Export, Fault> {
        let Ok(_turn) = self.exports.try_acquire() else {
            return Err(Fault::TooMany(
                "others are being given their data: try again in a moment".to_owned(),
            ));
        };
        let limit = self.parts.config.export_rows_max.get();
        let mut sections = BTreeMap::new();
        for section in &EXPORTED {
            let (items, truncated) = self.parts.store.export_section(section, user, limit).await?;
            sections.insert(section.table.to_owned(), ExportedSection { items, truncated });
        }
        Ok(Export {
            made_at: self.now(),
            profile: self.profile(user).await?,
            sessions: self.sessions(user, None).await?,
            api_keys: self.api_keys(user).await?,
            sections,
        })
    }
}
