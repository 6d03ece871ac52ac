# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""The truth: what the collector recorded in the guest, parsed to truth.json."""
