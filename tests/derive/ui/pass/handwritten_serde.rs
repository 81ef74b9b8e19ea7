//! Types with handwritten serde impls: an interned reference, and a trait object.
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use session_runtime::Session;

#[derive(Debug, PartialEq)]
struct Currency(&'static str);

static CURRENCIES: [Currency; 2] = [Currency("EUR"), Currency("USD")];

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for &'static Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let found = CURRENCIES.iter().find(|currency| currency.0 == name);
        found.ok_or_else(|| serde::de::Error::custom("no such currency"))
    }
}

trait Rule: Send + Sync {
    fn percent(&self) -> u8;
}

impl Rule for u8 {
    fn percent(&self) -> u8 {
        *self
    }
}

impl Serialize for dyn Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.percent().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Box<dyn Rule> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Box::new(u8::deserialize(deserializer)?))
    }
}

#[derive(Session)]
#[cascade(memcache)]
struct Shop {
    #[session(default = &CURRENCIES[0])]
    currency: &'static Currency,
    #[session(default = Box::new(3))]
    rule: Box<dyn Rule>,
    rules: Vec<Box<dyn Rule>>,
}

fn main() {
    let mut shop = Shop::with_defaults();
    shop.set_currency(&CURRENCIES[1]);
    shop.rules_mut().push(Box::new(4));
    let Shop { currency, rule, rules } = shop.snapshot();
    assert_eq!((currency, rule.percent(), rules[0].percent()), (&CURRENCIES[1], 3, 4));
}
