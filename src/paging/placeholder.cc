// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
