//! The forms of `lshwres`.

use crate::form::Form;
use crate::form::PartOfForm::{AtMostOne, Needs, Optional, Required, When};

pub(super) static FORMS: &[Form] = &[
    Form::listing(&[
        When("-r", &["mem"]),
        Required("-m"),
        When("--level", &["sys"]),
        AtMostOne(&["-R", "--maxmem"]),
        Needs("--hptratio", "--maxmem"),
    ]),
    Form::filtered(&[When("-r", &["mem"]), Required("-m"), When("--level", &["lpar"]), Optional("-R")]),
    Form::filtered(&[When("-r", &["proc"]), Required("-m"), When("--level", &["lpar"]), Optional("-R")]),
    Form::listing(&[
        When("-r", &["proc"]),
        Required("-m"),
        When("--level", &["sys", "pool"]),
        Optional("-R"),
    ]),
    Form::filtered(&[When("-r", &["mempool", "rspool", "resgroup"]), Required("-m")]),
    Form::filtered(&[When("-r", &["mempool"]), Required("-m"), When("--rsubtype", &["pgdev"])]),
    Form::later(&[When("-r", &["rspool"]), When("--rsubtype", &["rsdev"])]),
    Form::filtered(&[When("-r", &["sriov"]), Required("-m"), When("--rsubtype", &["adapter"])]),
    Form::filtered(&[
        When("-r", &["sriov"]),
        Required("-m"),
        When("--rsubtype", &["physport"]),
        When("--level", &["eth", "ethc", "roce"]),
        Optional("--sriovstat"),
    ]),
    Form::filtered(&[When("-r", &["sriov"]), Required("-m"), When("--rsubtype", &["logport"])]),
    Form::filtered(&[
        When("-r", &["sriov"]),
        Required("-m"),
        When("--rsubtype", &["logport"]),
        When("--level", &["eth", "roce"]),
        Optional("--sriovstat"),
    ]),
    Form::filtered(&[
        When("-r", &["pmem", "hca", "hea", "sni", "accel"]),
        Required("-m"),
        Optional("--rsubtype"),
        Optional("--level"),
    ]),
    Form::filtered(&[
        When("-r", &["virtualio"]),
        Required("-m"),
        When("--rsubtype", &["eth"]),
        When("--level", &["lpar"]),
    ]),
    Form::listing(&[
        When("-r", &["virtualio"]),
        Required("-m"),
        When("--rsubtype", &["eth"]),
        When("--level", &["sys"]),
    ]),
    // The manual page's own example lists virtual SCSI adapters without a level.
    Form::filtered(&[When("-r", &["virtualio"]), Required("-m"), When("--rsubtype", &["scsi", "fc"])]),
    Form::filtered(&[
        When("-r", &["virtualio"]),
        Required("-m"),
        When("--rsubtype", &["scsi", "fc", "serial"]),
        When("--level", &["lpar"]),
    ]),
    Form::filtered(&[
        When("-r", &["virtualio"]),
        Required("-m"),
        When("--rsubtype", &["slot"]),
        When("--level", &["lpar", "slot"]),
    ]),
    Form::filtered(&[When("-r", &["virtualio"]), Required("-m"), When("--rsubtype", &["vswitch"])]),
    Form::filtered(&[When("-r", &["virtualio"]), Required("-m"), When("--rsubtype", &["vnetwork"])]),
    Form::filtered(&[
        When("-r", &["virtualio"]),
        Required("-m"),
        When("--rsubtype", &["hsl", "virtualopti"]),
    ]),
    Form::filtered(&[
        When("-r", &["virtualio"]),
        Required("-m"),
        When("--rsubtype", &["hsl", "virtualopti"]),
        When("--level", &["lpar"]),
    ]),
    Form::filtered(&[When("-r", &["virtualio"]), Required("-m"), When("--rsubtype", &["vnic", "vnicbkdev"])]),
    Form::filtered(&[
        When("-r", &["virtualio"]),
        Required("-m"),
        When("--rsubtype", &["vnic", "vnicbkdev"]),
        When("--level", &["lpar"]),
    ]),
    Form::filtered(&[
        When("-r", &["io"]),
        Required("-m"),
        When("--rsubtype", &["slot", "unit", "bus"]),
        Optional("-R"),
    ]),
    Form::filtered(&[
        When("-r", &["io"]),
        Required("-m"),
        When("--rsubtype", &["slot", "unit", "bus"]),
        When("--level", &["sys"]),
        Optional("-R"),
    ]),
    Form::filtered(&[When("-r", &["io"]), Required("-m"), When("--rsubtype", &["taggedio", "slotchildren"])]),
    Form::filtered(&[
        When("-r", &["io"]),
        Required("-m"),
        When("--rsubtype", &["iopool"]),
        When("--level", &["pool"]),
    ]),
    Form::listing(&[
        When("-r", &["io"]),
        Required("-m"),
        When("--rsubtype", &["iopool"]),
        When("--level", &["sys"]),
    ]),
    Form::filtered(&[When("-r", &["procpool"]), Required("-m")]),
];
