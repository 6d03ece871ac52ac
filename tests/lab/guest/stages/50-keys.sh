# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
# Keys in the kernel's key rings.
keyctl add user lab-key "KEYRING-SECRET-PAYLOAD" @u >/dev/null || missing keyctl
ring=$(keyctl newring labring @u)
keyctl add user lab-key2 "SECOND-PAYLOAD" "$ring" >/dev/null
keyctl add logon lab:logonkey "LOGON-HIDDEN" @u >/dev/null
