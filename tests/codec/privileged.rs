//! Setting a privileged field counts even where the value stays the same, so that signing in again rotates the secret.

use session_runtime::__private::session::changes::Changes;
use session_runtime::__private::session::record::Record;
use session_runtime::Session;

use crate::record::meta;

#[derive(Session)]
#[session(name = "account", version = 1)]
#[cascade(datastore)]
struct Account {
    #[session(privileged)]
    user: Option<u64>,
    #[session(privileged, lazy)]
    role: String,
    note: Option<String>,
}

type Fields = <Account as Session>::Fields;

/// The record of a session with user 5.
fn signed_in() -> Record {
    let record = Record::new(Account::SCHEMA, &meta());
    applied(&changed(&record, |account| account.set_user(Some(5))), &record)
}

fn changed(record: &Record, what: impl FnOnce(&mut Fields)) -> Changes {
    let mut fields = Account::open(record).unwrap();
    what(&mut fields);
    Changes::collect::<Account>(&fields).unwrap()
}

fn applied(changes: &Changes, record: &Record) -> Record {
    let mut draft = record.draft();
    changes.apply(Account::SCHEMA, &mut draft).unwrap();
    draft.finish()
}

fn again(account: &mut Fields) {
    account.set_user(Some(5));
}

#[test]
fn setting_the_same_value_counts_but_writes_nothing() {
    let record = signed_in();
    let changes = changed(&record, again);
    assert!(!changes.is_empty());
    assert_eq!((changes.len(), changes.privileged()), (1, Some("user")));
    assert_eq!(applied(&changes, &record), record);

    // A field that no record has yet, and whose default it is set to.
    let changes = changed(&record, |account| account.set_role(String::new()));
    assert_eq!(changes.privileged(), Some("role"));
    assert_eq!(applied(&changes, &record), record);
}

#[test]
fn only_setting_counts_and_only_a_privileged_field() {
    let record = signed_in();
    let borrowed = changed(&record, |account| {
        account.user_mut();
        account.role_mut().unwrap();
        account.set_note(None);
    });
    assert!(borrowed.is_empty(), "{borrowed:?}");
}

/// Nobody has the secret of a session that is not stored yet.
#[test]
fn setting_the_default_does_not_begin_a_session() {
    let mut fields = Account::with_defaults();
    fields.set_user(None);
    assert!(Changes::collect::<Account>(&fields).unwrap().is_empty());
    fields.set_user(Some(5));
    assert_eq!(Changes::collect::<Account>(&fields).unwrap().privileged(), Some("user"));
}

#[test]
fn staging_keeps_what_was_set() {
    let record = signed_in();
    let note = |account: &mut Fields| account.set_note(Some("ring".into()));

    let mut after = changed(&record, note);
    after.stage(Account::SCHEMA, changed(&record, again)).unwrap();
    assert_eq!((after.len(), after.privileged()), (2, Some("user")));

    let mut before = changed(&record, again);
    before.stage(Account::SCHEMA, changed(&record, note)).unwrap();
    assert_eq!((before.len(), before.privileged()), (2, Some("user")));

    // Another user, and back again.
    let mut twice = changed(&record, |account| account.set_user(Some(7)));
    twice
        .stage(Account::SCHEMA, changed(&applied(&twice, &record), again))
        .unwrap();
    assert_eq!(twice.privileged(), Some("user"));
    assert_eq!(applied(&twice, &record), record);

    // The later change only borrows.
    let mut borrowed = changed(&record, |account| *account.user_mut() = Some(7));
    let back = changed(&applied(&borrowed, &record), |account| {
        *account.user_mut() = Some(5);
    });
    borrowed.stage(Account::SCHEMA, back).unwrap();
    assert!(borrowed.is_empty(), "{borrowed:?}");
}

/// It is a write like any other where another request has signed out meanwhile.
#[test]
fn what_was_set_wins_over_another_value_that_was_stored_meanwhile() {
    let record = signed_in();
    let out = applied(&changed(&record, |account| account.set_user(None)), &record);
    let both = applied(&changed(&record, again), &out);
    assert_eq!(Account::open(&both).unwrap().user(), &Some(5));
}
